from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bot.errors import DataError, ParleyError, StorageFull
from bot.history.failures import translated


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
        (sqlite3.SQLITE_IOERR_FSYNC, DataError, "The disk failed"),
        (sqlite3.SQLITE_IOERR_READ, DataError, "The disk failed"),
        (sqlite3.SQLITE_CORRUPT, DataError, "put a backup in its place"),
        (sqlite3.SQLITE_READONLY_DBMOVED, DataError, "cannot be written"),
        (sqlite3.SQLITE_CANTOPEN, DataError, "cannot be opened"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DataError, "locked by another program"),
    ],
)
def test_a_failure_of_the_disk_is_one_sentence_that_names_the_file(
    code: int, expected: type[ParleyError], words: str
) -> None:
    with pytest.raises(expected, match=words) as caught, translated(Path("data/parley.db")):
        raise _failure(code)

    assert "data/parley.db" in str(caught.value)


def test_a_mistake_of_ours_stays_what_it_is() -> None:
    with (
        pytest.raises(sqlite3.OperationalError, match="own words"),
        translated(Path("data/parley.db")),
    ):
        raise _failure(sqlite3.SQLITE_ERROR)
