"""The history as a command reads it: beside a running Parley, or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from bot.errors import DataError
from bot.history.database import BUSY_TIMEOUT, refusing, running_engines
from bot.history.migrate import current, head


@contextmanager
def beside(path: Path) -> Iterator[Connection]:
    """A snapshot; nothing is written. Blocking. Raises ``DataError``."""
    if not path.is_file():
        raise DataError(f"There is no history at {path}: nobody has been answered there yet.")
    engines = running_engines(path, BUSY_TIMEOUT)
    try:
        with refusing(path), engines.reading.begin() as connection:
            if current(connection) != head():
                raise DataError(f"{path} is of another version of Parley; start this one once.")
            yield connection
    finally:
        engines.reading.dispose()
