"""SQLite's failures as ours: the one place where its error codes are read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from bot.errors import DataError, ParleyError, StorageFull

# A quota that is used up, and a shared-memory file that cannot grow, come as I/O errors.
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database; move it away, or set PARLEY_DATABASE_URL.",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged; put a backup in its place.",
    sqlite3.SQLITE_READONLY: "{path} cannot be written; give Parley's user the right to.",
    sqlite3.SQLITE_PERM: "{path} cannot be written; give Parley's user the right to.",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened; check that its folder exists and is ours.",
    sqlite3.SQLITE_IOERR: "The disk failed at {path}; check the disk.",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise ``StorageFull`` or ``DataError`` where the disk or the file is to blame.

    What only a mistake of ours can cause (a broken constraint, wrong SQL) passes unchanged.
    """
    try:
        yield
    except DBAPIError as error:
        if (ours := _translate(error.orig, path)) is None:
            raise
        raise ours from error
    except sqlite3.Error as error:
        if (ours := _translate(error, path)) is None:
            raise
        raise ours from error


def _translate(error: BaseException | None, path: Path) -> ParleyError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in _FULL:
        return StorageFull(f"Nothing could be stored: the disk of {path} is full.")
    sentence = _SENTENCES.get(code & 0xFF)
    return None if sentence is None else DataError(sentence.format(path=path))
