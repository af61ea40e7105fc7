from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bot.errors import DataError, StorageError, StorageFull
from bot.history.database import at_work, refusing


def _failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("SQLite's own words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        (sqlite3.SQLITE_FULL, StorageFull, "is full"),
        (sqlite3.SQLITE_IOERR_WRITE, StorageFull, "is full"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StorageFull, "is full"),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageError, "The disk failed"),
        (sqlite3.SQLITE_IOERR_READ, StorageError, "The disk failed"),
        (sqlite3.SQLITE_CORRUPT, StorageError, "put a backup in its place"),
        (sqlite3.SQLITE_READONLY_DBMOVED, StorageError, "cannot be written"),
        (sqlite3.SQLITE_CANTOPEN, StorageError, "cannot be opened"),
        (sqlite3.SQLITE_NOMEM, StorageError, "no memory left"),
        (sqlite3.SQLITE_PROTOCOL, StorageError, "locked by another program"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StorageError, "locked by another program"),
    ],
)
def test_a_failure_of_the_disk_names_the_file_for_the_operator_and_never_for_people(
    code: int, expected: type[StorageError], words: str
) -> None:
    with pytest.raises(expected) as caught, at_work(Path("data/parley.db")):
        raise _failure(code)

    assert words in caught.value.detail
    assert "data/parley.db" in caught.value.detail
    assert "parley.db" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_BUSY, "is locked by another program; stop it and try again."),
        (sqlite3.SQLITE_FULL, "is full. Make room and start again."),
    ],
)
def test_at_the_start_it_is_one_sentence_that_names_the_file(code: int, words: str) -> None:
    with (
        pytest.raises(DataError, match=r"data/parley\.db") as caught,
        refusing(Path("data/parley.db")),
    ):
        raise _failure(code)

    assert str(caught.value).endswith(words)


def test_a_mistake_of_ours_stays_what_it_is() -> None:
    with (
        pytest.raises(sqlite3.OperationalError, match="own words"),
        at_work(Path("data/parley.db")),
    ):
        raise _failure(sqlite3.SQLITE_ERROR)
