"""SQLite's failures as ours: the one place where its error codes are read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from bot.errors import DataError, StorageError, StorageFull

# A quota that is used up, and a shared-memory file that cannot grow, come as I/O errors.
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
_FULL_SENTENCE = "Nothing could be stored: the disk of {path} is full."

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_PROTOCOL: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database; move it away, or set PARLEY_DATABASE_URL.",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged; put a backup in its place.",
    sqlite3.SQLITE_READONLY: "{path} cannot be written; give Parley's user the right to.",
    sqlite3.SQLITE_PERM: "{path} cannot be written; give Parley's user the right to.",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened; check that its folder exists and is ours.",
    sqlite3.SQLITE_IOERR: "The disk failed at {path}; check the disk.",
    sqlite3.SQLITE_NOMEM: "There was no memory left to use {path}; give Parley more.",
}


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """At the start, and in commands: raise ``DataError`` where the disk or file is to blame."""
    try:
        with at_work(path):
            yield
    except StorageFull as error:
        raise DataError(f"{error.detail} Make room and start again.") from error
    except StorageError as error:
        raise DataError(error.detail) from error


@contextmanager
def at_work(path: Path) -> Iterator[None]:
    """Raise ``StorageError`` (of a full disk ``StorageFull``) where the disk or file is to blame.

    What only a mistake of ours can cause (a broken constraint, wrong SQL) passes unchanged.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        own = error.orig if isinstance(error, DBAPIError) else error
        if (ours := _translate(own, path)) is None:
            raise
        raise ours from error


def _translate(error: BaseException | None, path: Path) -> StorageError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in _FULL:
        return StorageFull(_FULL_SENTENCE.format(path=path))
    sentence = _SENTENCES.get(code & 0xFF)
    return None if sentence is None else StorageError(sentence.format(path=path))
