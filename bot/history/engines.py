"""SQLAlchemy engines on one SQLite file, with the pragmas that Parley relies on.

The driver begins no transactions by itself: with its deferred ones, two who read and then
write get the same number. ``begin`` is what every transaction of an engine starts with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

Begin = Literal["BEGIN IMMEDIATE", "BEGIN"]
NUM_READERS = 4
BUSY_TIMEOUT = 5.0
"""Seconds to wait for a lock that another program holds."""

# NORMAL in WAL mode: what is committed survives the process (``kill -9``), since it is with
# the operating system; a power cut may take the last commits, and never the file.
_PRAGMAS = ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL", "secure_delete=ON")


def migrating_engine(path: Path, busy_timeout: float) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=NullPool,
        connect_args=_connect_args(busy_timeout),
    )
    return _prepare(engine, "BEGIN IMMEDIATE", _PRAGMAS)


@dataclass(frozen=True, slots=True)
class Engines:
    """``writing`` has one connection; ``reading`` some that cannot write.

    ``opened`` is the file that stood at ``path`` then.
    """

    path: Path
    opened: os.stat_result
    writing: Engine
    reading: Engine

    def is_in_place(self) -> bool:
        """Whether ``path`` is still that file; SQLite goes on with one that was moved. Blocking."""
        try:
            return os.path.samestat(self.path.stat(), self.opened)
        except OSError:
            return False


def running_engines(path: Path, busy_timeout: float = BUSY_TIMEOUT) -> Engines:
    """Looks at the file system, as making an engine does: for a worker thread."""
    return Engines(
        path=path,
        opened=path.stat(),
        writing=_engine(path, busy_timeout, 1, "BEGIN IMMEDIATE", _PRAGMAS),
        reading=_engine(path, busy_timeout, NUM_READERS, "BEGIN", (*_PRAGMAS, "query_only=ON")),
    )


def _engine(
    path: Path, busy_timeout: float, size: int, begin: Begin, pragmas: tuple[str, ...]
) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        pool_size=size,
        max_overflow=0,
        connect_args=_connect_args(busy_timeout),
    )
    return _prepare(engine, begin, pragmas)


def _connect_args(busy_timeout: float) -> dict[str, Any]:
    return {"timeout": busy_timeout, "isolation_level": None}


def _prepare(engine: Engine, begin: Begin, pragmas: tuple[str, ...]) -> Engine:
    def set_pragmas(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", set_pragmas)
    event.listen(engine, "begin", start)
    return engine
