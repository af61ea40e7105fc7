"""Stores on a new database, which is copied from one that the migrations made.

They compute for longer than most tests do, and always make the same file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.history import SqlThreadStore, open_store
from bot.history.database import BUSY_TIMEOUT
from bot.history.migrate import migrate
from bot.ports import Clock


async def open_new_store(
    path: Path, clock: Clock, *, busy_timeout: float = BUSY_TIMEOUT
) -> SqlThreadStore:
    """A database that is there already stays."""
    await asyncio.to_thread(_lay, path)
    return await open_store(f"sqlite:///{path}", clock, busy_timeout=busy_timeout)


def _lay(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "parley.db"
        migrate(path, datetime.now(UTC))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()
