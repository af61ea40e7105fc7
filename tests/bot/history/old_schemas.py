"""Databases as older versions of Parley left them, each as SQL with rows in every table.

A migration brings the dump of the schema before it, which this writes from the one before that;
rows for what is new in it are added by hand:
``.venv/bin/python -m tests.bot.history.old_schemas 0006``.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config

from bot.history import migrate
from bot.history.backups import APPLICATION_ID
from bot.history.database import migrating_engine

FOLDER = Path(__file__).with_name("schemas")
SCRIPTS = Path(migrate.__file__).with_name("migrations")
NEWEST = migrate.head()
KEPT = sorted(file.stem for file in FOLDER.glob("*.sql"))


def restore(schema: str, path: Path) -> None:
    """A database of an older Parley, at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FOLDER / f"{schema}.sql").read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")


def dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        lines = [f"PRAGMA application_id = {APPLICATION_ID};", *connection.iterdump()]
    return "\n".join(lines) + "\n"


def upgrade(path: Path, schema: str, scripts: Path = SCRIPTS) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with migrating_engine(path, 1.0).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)


def main(schema: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parley.db"
        restore(max(each for each in KEPT if each < schema), path)
        upgrade(path, schema)
        (FOLDER / f"{schema}.sql").write_text(dump(path), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
