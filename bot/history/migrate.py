"""Migrate the file to the newest schema, or refuse it in one sentence.

Blocking; runs once, at the start.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from bot.errors import DataError
from bot.history.database import BUSY_TIMEOUT, migrating_engine, refusing

APPLICATION_ID = 0x5061726C
"""``Parl``, in the header of every database of ours (``PRAGMA application_id``)."""

_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(path: Path, busy_timeout: float = BUSY_TIMEOUT) -> None:
    """Make or upgrade the database at ``path``, in one transaction. Raises ``DataError``."""
    _make_file(path)
    engine = migrating_engine(path, busy_timeout)
    with refusing(path), engine.begin() as connection:
        _refuse_strangers(connection, path)
        _upgrade(connection, path)


def head() -> str | None:
    """The newest schema this Parley knows."""
    return ScriptDirectory(str(_SCRIPTS)).get_current_head()


def current(connection: Connection) -> str | None:
    """The schema of the database; None if it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


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


def _upgrade(connection: Connection, path: Path) -> None:
    revision = current(connection)
    if revision == head():
        return
    known = {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}
    if revision is not None and revision not in known:
        raise DataError(
            f"{path} was written by a newer Parley (schema {revision}); please update Parley."
        )
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
