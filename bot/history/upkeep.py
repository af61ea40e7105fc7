"""What is done to the file as a whole, beside SQLAlchemy; blocking, for a worker thread."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bot.errors import DataError
from bot.history.failures import refusing


def truncate_log(path: Path) -> bool:
    """Move the write-ahead log into the database and empty it; False if a reader is in the way.

    Deleted text is overwritten in the database (``secure_delete``), but stands in older pages
    of the log until then.
    """
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            [is_busy, *_] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        return False
    return not is_busy


def back_up(path: Path, target: Path) -> None:
    """A compact copy, made while Parley runs; never half of one under the name ``target``."""
    if target.exists():
        raise DataError(f"{target} exists already; name a new file for the backup.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror}.") from error
    try:
        with refusing(partial), closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM INTO ?", (str(partial),))
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
