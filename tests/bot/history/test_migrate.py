from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from bot.errors import DataError
from bot.history import open_store
from bot.history.backups import APPLICATION_ID
from bot.history.database import migrating_engine
from bot.history.migrate import current, head, is_known, migrate
from bot.history.schema import metadata
from bot.source import Source
from tests.bot.history.old_schemas import SCRIPTS
from tests.contracts.store import HERE, accepted, ask, texts
from tests.fakes.clock import START, FakeClock


@pytest.fixture
def migrated(path: Path) -> Path:
    migrate(path, START)
    return path


def _execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


async def _refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        await open_store(f"sqlite:///{path}", FakeClock(), busy_timeout=0.05)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_migrations_lead_to_the_schema_that_the_code_uses(path: Path) -> None:
    migrate(path, START)
    declared = create_engine("sqlite://")
    metadata.create_all(declared)

    with migrating_engine(path, 1.0).connect() as migrated, declared.connect() as wanted:
        context = MigrationContext.configure(migrated)
        assert compare_metadata(context, metadata) == []
        for table in metadata.tables:
            columns = f"PRAGMA table_info({table})"
            assert migrated.exec_driver_sql(columns).all() == wanted.exec_driver_sql(columns).all()
    declared.dispose()


def test_a_migrated_database_says_whose_it_is_and_how_new(path: Path) -> None:
    migrate(path, START)

    with migrating_engine(path, 1.0).connect() as connection:
        assert current(connection) == head() == "0011"
        owner = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        assert owner == APPLICATION_ID


def test_the_schemas_are_those_that_alembic_finds() -> None:
    scripts = ScriptDirectory(str(SCRIPTS))
    assert scripts.get_current_head() == head()
    assert all(is_known(script.revision) for script in scripts.walk_revisions())
    assert not is_known("0099")


def test_migrating_again_changes_nothing(path: Path) -> None:
    migrate(path, START)
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    migrate(path, START)

    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before


def test_what_people_say_is_for_parleys_user_only(path: Path) -> None:
    migrate(path, START)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_folder_with_a_percent_sign_and_a_space_works(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/50% off/parley.db", FakeClock())
    await accepted(store, ask("1", "Hello"))

    assert await texts(store, HERE) == ["Hello"]
    await store.close()


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    path.touch()
    store = await open_store(f"sqlite:///{path}", FakeClock())

    assert await store.unfinished() == []
    await store.close()


async def test_a_database_of_a_newer_parley_is_left_alone(migrated: Path) -> None:
    _execute(migrated, "UPDATE alembic_version SET version_num = '0099'")

    assert "written by a newer Parley (schema 0099); please update" in await _refusal(migrated)


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    _execute(path, "CREATE TABLE recipes (name TEXT)", "INSERT INTO recipes VALUES ('soup')")

    assert "belongs to another program" in await _refusal(path)
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert tables == [("recipes",)]


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "parley.db"
    path.write_text("Dear diary, " * 100)

    assert "is not a database; move it away" in await _refusal(path)
    assert path.read_text().startswith("Dear diary, ")


async def test_a_folder_that_is_a_file_is_said_to_be_unusable(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    refusal = await _refusal(tmp_path / "data" / "parley.db")
    assert "data cannot be written" in refusal
    assert "PARLEY_DATA_DIR" in refusal


async def test_a_folder_in_place_of_the_file_cannot_be_opened(tmp_path: Path) -> None:
    assert "cannot be opened" in await _refusal(tmp_path)


async def test_a_locked_database_is_said_to_be_locked(migrated: Path) -> None:
    with closing(sqlite3.connect(migrated, isolation_level=None)) as other_program:
        other_program.execute("BEGIN IMMEDIATE")

        assert "is locked by another program" in await _refusal(migrated)


@pytest.mark.parametrize("url", ["postgresql://db/parley", "parley.db", "", "mysql://x/y"])
async def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(DataError, match=r"sqlite:///data/parley\.db"):
        await open_store(url, FakeClock())


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
async def test_a_database_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(DataError, match="names no file"):
        await open_store(url, FakeClock())


async def test_files_of_a_database_of_before_they_were_listed_are_one_file_each(
    path: Path,
) -> None:
    store = await open_store(f"sqlite:///{path}", FakeClock())
    await accepted(store, ask("1", "Hello"))
    await accepted(store, ask("2", "And you?"))
    await store.close()
    text = "\n\n[Attached file: a.txt]\none\n\n[Attached file: b.txt]\ntwo"
    for table in ("usage", "chat_turns", "answers", "listened_channels", "votes", "owed"):
        _execute(path, f"DROP TABLE {table}")
    _execute(path, "ALTER TABLE threads DROP COLUMN title")
    _execute(path, "ALTER TABLE turns DROP COLUMN asked_again_at")
    _execute(path, "ALTER TABLE turns DROP COLUMN above")
    _execute(path, "DROP INDEX remarks_by_key")
    _execute(path, "ALTER TABLE remarks DROP COLUMN key")
    _execute(path, "UPDATE alembic_version SET version_num = '0002'")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE turns SET files = ? WHERE number = 1", [text])

    store = await open_store(f"sqlite:///{path}", FakeClock())
    files = [turn.files for turn in await store.turns(HERE)]
    assert files == [(Source("Attached files", text.strip()),), ()]
    await store.close()
