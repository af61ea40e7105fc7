"""Migrate the file to the newest schema, or refuse it in one sentence.

Blocking; runs once, at the start.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, inspect

from bot.errors import DataError
from bot.history.backups import APPLICATION_ID, Backups
from bot.history.database import BUSY_TIMEOUT, migrating_engine, refusing

_SCRIPTS = Path(__file__).with_name("migrations")
_REVISION = re.compile(r'^revision = "(\w+)"$', re.MULTILINE)


def migrate(path: Path, now: datetime, busy_timeout: float = BUSY_TIMEOUT) -> None:
    """Make or upgrade the database at ``path``, in one transaction. Raises ``DataError``.

    Before an upgrade a backup is made.
    """
    _make_file(path)
    engine = migrating_engine(path, busy_timeout)
    with refusing(path), engine.begin() as connection:
        _refuse_strangers(connection, path)
        _upgrade(connection, path, now)


def head() -> str:
    """The newest schema this Parley knows."""
    return max(_known())


def is_known(schema: str) -> bool:
    """Whether this Parley can use a database of this schema; those of newer ones are not known."""
    return schema in _known()


def _known() -> set[str]:
    """The schemas by their migrations; importing Alembic would take a start longer."""
    files = (_SCRIPTS / "versions").glob("*.py")
    return {found for file in files for found in _REVISION.findall(file.read_text("utf-8"))}


def current(connection: Connection) -> str | None:
    """The schema of the database; None if it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    schema = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if schema is None else str(schema)


def _make_file(path: Path) -> None:
    """Readable by Parley's user only; SQLite gives the log the mode of the file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
    except OSError as error:
        raise DataError(
            f"The data folder {path.parent} cannot be written ({error.strerror}); "
            "make it writable or choose another with PARLEY_DATA_DIR."
        ) from error


def _refuse_strangers(connection: Connection, path: Path) -> None:
    journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if journal != "wal":
        raise DataError(f"{path} is on a file system that SQLite cannot use; choose a local one.")
    owner = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if owner != APPLICATION_ID and inspect(connection).get_table_names():
        raise DataError(f"{path} belongs to another program; set PARLEY_DATABASE_URL.")


def _upgrade(connection: Connection, path: Path, now: datetime) -> None:
    revision, newest = current(connection), head()
    if revision == newest:
        return
    if revision is not None:
        backups = Backups(path)
        if not is_known(revision):
            raise DataError(_newer(path, revision, backups.of_schema(newest)))
        backups.make(None, now, before=newest)
    _run_migrations(connection)


def _run_migrations(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _newer(path: Path, revision: str, backup: Path | None) -> str:
    also = f", or put {backup} in its place" if backup else ""
    return f"{path} was written by a newer Parley (schema {revision}); please update Parley{also}."
