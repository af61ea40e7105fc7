"""Backups hold every thread but those that people had forgotten, whenever that was."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import DataError, StorageError
from bot.history import SqlThreadStore, open_store
from bot.history.backups import FOLDER, Backups
from bot.types import Place, UnpostedQuestion
from tests.bot.history import old_schemas
from tests.contracts.store import ELSEWHERE, HERE, accepted, answered, ask, texts
from tests.fakes.clock import START, FakeClock
from tests.scenarios.polling import eventually

SECRET = "the cake is in the attic"
LATER = START + timedelta(days=1)


def on_disk(folder: Path) -> bytes:
    """Every byte of every file."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.fixture
async def store(sql_store: SqlThreadStore) -> SqlThreadStore:
    """Two threads, one of which holds the secret."""
    for number in range(6):
        await answered(sql_store, ask(f"a{number}", SECRET * 30), SECRET)
        await sql_store.add_remark(ask(f"b{number}", SECRET))
        await answered(sql_store, ask(f"c{number}", "Nice weather", place=ELSEWHERE))
    return sql_store


async def backup(path: Path, target: Path | None = None, now: datetime = START) -> Path:
    return await asyncio.to_thread(Backups(path).make, target, now)


@contextmanager
def at_rest(path: Path) -> Iterator[None]:
    """As while another process makes a backup."""
    with path.with_name(f"{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def test_a_forgotten_thread_is_in_no_backup_either(store: SqlThreadStore, path: Path) -> None:
    mine = await backup(path)
    named = await backup(path, path.parent / "before-the-holidays")
    assert on_disk(mine.parent).count(SECRET.encode()) > 180
    await store.forget(HERE)

    assert SECRET.encode() not in on_disk(path.parent)
    for copy in (mine, named):
        restored = await open_store(f"sqlite:///{copy}", FakeClock())
        assert await texts(restored, HERE) == []
        assert await texts(restored, ELSEWHERE) == ["Nice weather"] * 6
        await restored.close()


async def test_what_is_too_old_is_in_no_backup_either(store: SqlThreadStore, path: Path) -> None:
    copy = await backup(path)
    await store.prune(LATER)

    assert SECRET.encode() not in on_disk(path.parent)
    restored = await open_store(f"sqlite:///{copy}", FakeClock())
    assert await texts(restored, HERE) == await texts(restored, ELSEWHERE) == []
    await restored.close()


@pytest.mark.parametrize("drop", ["forget", "prune"])
async def test_a_question_that_was_owed_when_a_backup_was_made_is_not_kept_there(
    sql_store: SqlThreadStore, path: Path, drop: str
) -> None:
    """It is not known of which thread it became the first question."""
    question = ask("a", SECRET)
    asked = UnpostedQuestion(
        event_id=question.event_id,
        place=replace(HERE, thread=""),
        person=question.person,
        text=SECRET,
    )
    await sql_store.owe(asked)
    await backup(path)
    await answered(sql_store, question)
    await (sql_store.forget(HERE) if drop == "forget" else sql_store.prune(LATER))
    assert SECRET.encode() not in on_disk(path.parent)


async def test_what_is_owed_for_too_long_is_not_kept(sql_store: SqlThreadStore) -> None:
    """As where the disk did not take that it was settled."""
    person = ask("a").person
    await sql_store.owe(
        UnpostedQuestion(event_id="b", place=replace(HERE, thread=""), person=person, text=SECRET)
    )
    await sql_store.prune(START)
    assert len(await sql_store.owed()) == 1
    await sql_store.prune(LATER)
    assert await sql_store.owed() == []


async def test_the_title_of_a_chat_goes_with_its_last_turn(
    store: SqlThreadStore, path: Path
) -> None:
    chat = Place("web", "local", "ada", "c1")
    await answered(store, ask("chat", "Hello", place=chat))
    await store.set_personality(chat, "pirate")
    await store.set_title(chat, "Captain of a title")
    await backup(path)
    assert b"Captain of a title" in on_disk(path.parent)

    await store.prune(LATER)

    assert b"Captain of a title" not in on_disk(path.parent)


async def test_what_is_young_enough_stays_in_backups(store: SqlThreadStore, path: Path) -> None:
    copy = await backup(path)
    before = await asyncio.to_thread(copy.read_bytes)
    await store.prune(START - timedelta(seconds=1))
    assert await asyncio.to_thread(copy.read_bytes) == before


@pytest.mark.parametrize("schema", old_schemas.KEPT)
async def test_backups_of_every_older_schema_forget(
    sql_store: SqlThreadStore, path: Path, schema: str
) -> None:
    copy = path.parent / FOLDER / "of-last-year.db"
    await asyncio.to_thread(old_schemas.restore, schema, copy)
    words = (b"What is a llama?", b"I like goats.", b"And an alpaca?", b"camelid")
    assert all(each in on_disk(path.parent) for each in words)

    await sql_store.forget(Place("slack", "T1", "C1", "1700.1"))
    assert not any(each in on_disk(path.parent) for each in words)
    assert b"Once upon" in on_disk(path.parent)
    await sql_store.prune(datetime.fromisoformat("2026-03-01T09:02:04Z"))
    assert b"Once upon" not in on_disk(path.parent)


async def test_a_backup_under_way_does_not_keep_what_is_forgotten_meanwhile(
    store: SqlThreadStore, path: Path
) -> None:
    """The command waits for it, and then takes the thread out of it."""
    with at_rest(path):
        forgetting = asyncio.create_task(store.forget(HERE))
        await accepted(store, ask("meanwhile", place=ELSEWHERE))
        assert len(await texts(store, HERE)) == 6
        assert not forgetting.done()
    await forgetting
    assert SECRET.encode() not in on_disk(path.parent)


async def test_a_command_that_is_given_up_blocks_no_later_one(
    store: SqlThreadStore, path: Path
) -> None:
    with at_rest(path):
        given_up = asyncio.create_task(store.forget(HERE))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
    await asyncio.wait_for(store.forget(HERE), 30.0)
    assert SECRET.encode() not in on_disk(path.parent)


async def test_a_backup_that_was_cut_off_keeps_nothing(store: SqlThreadStore, path: Path) -> None:
    folder = path.parent / FOLDER
    folder.mkdir()
    for cut_off in (folder / ".parley-1.db.partial", path.parent / ".mine.db.partial"):
        cut_off.write_text(SECRET)
    await store.forget(HERE)
    assert SECRET.encode() not in on_disk(path.parent)


async def test_where_a_backup_cannot_be_changed_nothing_is_forgotten_and_that_is_said(
    store: SqlThreadStore, path: Path
) -> None:
    copy = await backup(path)
    content = await asyncio.to_thread(copy.read_bytes)
    copy.write_bytes(content[:4096] + b"\xff" * 8192 + content[12288:])
    with pytest.raises(StorageError) as caught:
        await store.forget(HERE)
    assert caught.value.detail == (
        f"{copy} may hold what was to be forgotten, and cannot be changed ({copy} is damaged; "
        "put a backup in its place). Delete it."
    )
    assert len(await texts(store, HERE)) == 6


async def test_other_peoples_databases_are_left_alone(store: SqlThreadStore, path: Path) -> None:
    recipes = path.parent / "recipes.db"
    with closing(sqlite3.connect(recipes)) as connection, connection:
        connection.execute("CREATE TABLE threads (adapter TEXT)")
        connection.execute("INSERT INTO threads VALUES ('slack')")
    before = recipes.read_bytes()
    await store.forget(HERE)
    assert recipes.read_bytes() == before


async def test_a_backup_is_for_parleys_user_only_and_named_by_time_and_schema(
    store: SqlThreadStore, path: Path
) -> None:
    copy = await backup(path)
    assert copy == path.parent / FOLDER / f"parley-20260105T090000Z-{old_schemas.NEWEST}.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in copy.parent.iterdir()] == [copy.name]


async def test_a_backup_into_a_folder_gets_a_name_there(
    store: SqlThreadStore, path: Path, tmp_path: Path
) -> None:
    copy = await backup(path, tmp_path)
    assert copy.parent == tmp_path
    assert copy.name.startswith("parley-20260105T090000Z-")


async def test_before_updates_the_last_three_backups_are_kept(
    store: SqlThreadStore, path: Path
) -> None:
    by_hand = await backup(path)
    for hour in range(5):
        now = START + timedelta(hours=hour)
        await asyncio.to_thread(Backups(path).make, None, now, before="0099")
    kept = sorted(file.name for file in by_hand.parent.iterdir())
    schema = old_schemas.NEWEST
    assert kept == [
        by_hand.name,
        *(f"parley-20260105T{hour}0000Z-{schema}-before-0099.db" for hour in (11, 12, 13)),
    ]


async def test_two_backups_at_once_are_two_files_or_one_refusal(
    store: SqlThreadStore, path: Path, tmp_path: Path
) -> None:
    both = [backup(path, tmp_path / "copy.db") for _ in range(2)]
    done = await asyncio.gather(*both, return_exceptions=True)
    (refused,) = (each for each in done if isinstance(each, DataError))
    assert "exists already" in str(refused)


async def test_without_a_history_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing is there to back up"):
        await backup(tmp_path / "parley.db")


async def test_the_backup_can_be_read_while_its_making_is_waited_for(
    store: SqlThreadStore, path: Path, tmp_path: Path
) -> None:
    """A name never stands for half of a backup."""
    making = asyncio.create_task(backup(path, tmp_path / "copy.db"))
    await eventually((tmp_path / "copy.db").exists)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (12,)
    await making
