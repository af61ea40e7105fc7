"""Whoever updates Parley keeps their threads, whatever version they come from."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from bot.errors import DataError
from bot.generation import FinishReason, Usage
from bot.history import migrate as migrating
from bot.history import open_store, usage
from bot.history.backups import FOLDER
from bot.history.migrate import head, migrate
from bot.source import Source
from bot.stored import TurnState
from bot.types import Attachment, Person, Place, Unread
from tests.bot.history import old_schemas
from tests.contracts.store import accepted, ask
from tests.fakes.clock import START, FakeClock

HERE = Place("slack", "T1", "C1", "1700.1")
DIRECT = Place("discord", "G1", "D1", "")
LISTED, UNREAD, WITH_ANSWER = "0003", "0002", "0005"
"""The schemas from which on files are listed, what is unread is kept, answers are logged."""


@pytest.fixture(params=old_schemas.KEPT)
def schema(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        select = "SELECT * FROM "
        return {name: connection.execute(f'{select} "{name}"').fetchall() for (name,) in names}


def shape(path: Path) -> set[tuple[object, ...]]:
    """Columns and indexes, however the statements that made them are written."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT type, name, tbl_name FROM sqlite_master").fetchall()
        tables = [name for kind, name, _ in made if kind == "table"]
        columns = {
            (table, *column)
            for table in tables
            for column in connection.execute(f'PRAGMA table_info("{table}")')
        }
        return {*made, *columns}


@pytest.fixture
def old(path: Path, schema: str) -> Path:
    old_schemas.restore(schema, path)
    return path


@pytest.fixture
def oldest(path: Path) -> Path:
    old_schemas.restore(old_schemas.KEPT[0], path)
    return path


async def test_every_turn_is_there_after_the_update(old: Path, schema: str) -> None:
    store = await open_store(f"sqlite:///{old}", FakeClock())
    first, second = await store.turns(HERE)
    (stopped,) = await store.turns(DIRECT)

    assert first.text == "What is a llama? 🦙"
    assert first.reply == "A **camelid**, it's said."
    assert (first.state, first.finish_reason) == (TurnState.DONE, FinishReason.STOP)
    assert (first.person, first.usage) == (Person("slack:T1/U1", "Ada"), Usage(40, 8, 12))
    assert [post.message_id for post in first.posts] == ["1700.5", "1700.6"]
    assert first.files == _files(schema)
    assert (second.state, second.remarks) == (TurnState.QUEUED, (("Cy", "I like goats."),))
    assert second.unread == _unread(schema)
    assert (stopped.reply, stopped.state) == ("Once upon", TurnState.STOPPED)
    assert await store.personality(DIRECT) == "pirate"
    assert await store.personality(HERE) == "tutor"
    assert await store.accept(ask("1700.2", place=HERE)) is None
    new = await accepted(store, ask("new", place=HERE))
    assert (new.number, new.remarks) == (3, (("Cy", "Anyone?"),))
    await store.close()


def _files(schema: str) -> tuple[Source, ...]:
    text = "[Attached file: a.txt]\none"
    return (Source("Attached files", text),) if schema >= UNREAD else ()


def _unread(schema: str) -> Unread:
    file = Attachment("b.txt", "text/plain", 3, "https://files.example/b")
    return Unread((file,), earlier=True) if schema >= UNREAD else Unread()


def test_every_row_is_there_after_the_update_as_it_was(old: Path, schema: str) -> None:
    """But for the files of turns, which were one text before they were listed."""
    before = records(old)
    migrate(old, START)
    after = records(old)
    for table in before.keys() - {"alembic_version"}:
        columns = before[table][0].keys() - ({"files"} if schema < LISTED else set())
        kept = [{name: row[name] for name in columns} for row in after[table]]
        assert [{name: row[name] for name in columns} for row in before[table]] == kept


def records(path: Path) -> dict[str, list[dict[str, object]]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return {
            table: [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608
            for table in contents(path)
        }


def test_the_usage_log_knows_of_every_answer(old: Path, schema: str) -> None:
    migrate(old, START)
    rows = list(usage.read(old, None))
    known = [("turn-1", 12), ("turn-3", 2), *([("answer-9", 5)] if schema >= WITH_ANSWER else [])]
    assert [(row.answer_id, row.usage.completion_tokens) for row in rows] == known
    assert rows[0].rating == 1


def test_an_updated_database_is_as_one_that_was_made_new(
    old: Path, tmp_path: Path, schema: str
) -> None:
    migrate(old, START)
    migrate(tmp_path / "new.db", START)
    assert shape(old) == shape(tmp_path / "new.db")
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_backup_is_made_before_the_update_and_only_then(old: Path, schema: str) -> None:
    before = contents(old)
    migrate(old, START)
    migrate(old, START)
    expected = [f"parley-20260105T090000Z-{schema}-before-{head()}.db"] if schema != head() else []
    made = list((old.parent / FOLDER).glob("*"))
    assert [file.name for file in made] == expected
    for copy in made:
        assert contents(copy) == before
        assert copy.stat().st_mode & 0o777 == 0o600


def test_an_update_that_fails_leaves_the_old_database_as_it_was(
    oldest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(oldest)
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "_SCRIPTS", _scripts(tmp_path, "raise OSError('a full disk')"))
        with pytest.raises(OSError, match="a full disk"):
            migrate(oldest, START)
    assert contents(oldest) == before
    migrate(oldest, START)
    assert len(contents(oldest)["turns"]) == 3


KILLED = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from bot.history import migrate
migrate._SCRIPTS = Path(sys.argv[2])
migrate.migrate(Path(sys.argv[1]), datetime.now(UTC))
"""


def test_an_update_that_is_killed_leaves_the_old_database_as_it_was(
    oldest: Path, tmp_path: Path
) -> None:
    before = contents(oldest)
    scripts = _scripts(tmp_path, "import os; os.kill(os.getpid(), 9)")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(oldest), str(scripts)], check=False, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL
    assert contents(oldest) == before
    migrate(oldest, START)
    assert len(contents(oldest)["turns"]) == 3


def _scripts(tmp_path: Path, fails: str) -> Path:
    """Parley's migrations, and a further one that changes much before it fails."""
    copied = tmp_path / "migrations"
    shutil.copytree(old_schemas.SCRIPTS, copied)
    (copied / "versions" / "of_tomorrow.py").write_text(
        f"""
from alembic import op

revision = "9999"
down_revision = "{head()}"


def upgrade():
    op.execute("DELETE FROM turns")
    op.drop_table("remarks")
    op.execute("CREATE TABLE tomorrow (id INTEGER)")
    {fails}
"""  # noqa: S608 - a migration
    )
    return copied


def test_a_newer_database_is_refused_with_the_backup_that_this_version_can_use(
    oldest: Path,
) -> None:
    migrate(oldest, START)
    with closing(sqlite3.connect(oldest)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    copy = oldest.parent / FOLDER / f"parley-20260105T100000Z-{head()}-before-0099.db"
    old_schemas.restore(old_schemas.KEPT[-1], copy)

    with pytest.raises(DataError) as caught:
        migrate(oldest, START)
    assert str(caught.value) == (
        f"{oldest} was written by a newer Parley (schema 0099); please update Parley, or put "
        f"{copy} in its place."
    )


def test_every_older_schema_is_kept() -> None:
    scripts = ScriptDirectory(str(old_schemas.SCRIPTS)).walk_revisions()
    older = {script.revision for script in scripts} - {head()}
    missing = sorted(older - set(old_schemas.KEPT))
    assert not missing, f"write {missing} with python -m tests.bot.history.old_schemas"
