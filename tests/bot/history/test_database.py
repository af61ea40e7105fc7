from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.pool import Pool

from bot.errors import StorageError, StorageFull
from bot.history import SqlThreadStore, open_store
from bot.history.database import NUM_READERS
from tests.contracts.store import HERE, accepted, ask, texts
from tests.fakes.clock import FakeClock, settle


async def _pragma(store: SqlThreadStore, name: str, *, of_writer: bool) -> object:
    def work(connection: Connection) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

    run = store.database.write if of_writer else store.database.read
    return await run(work)


@pytest.mark.parametrize("of_writer", [True, False], ids=["writer", "reader"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("foreign_keys", 1),
        ("synchronous", 1),
        ("secure_delete", 1),
        ("busy_timeout", 50),
    ],
)
async def test_every_connection_has_the_pragmas_that_parley_relies_on(
    sql_store: SqlThreadStore, name: str, value: object, of_writer: bool
) -> None:
    assert await _pragma(sql_store, name, of_writer=of_writer) == value


async def test_a_reader_cannot_write(sql_store: SqlThreadStore) -> None:
    with pytest.raises(StorageError) as caught:
        await sql_store.database.read(lambda c: c.exec_driver_sql("DELETE FROM turns"))
    assert "cannot be written" in caught.value.detail


async def test_a_caller_that_is_cancelled_leaves_its_question_stored_and_nobody_locked_out(
    sql_store: SqlThreadStore, path: Path
) -> None:
    started, may_go_on = threading.Event(), threading.Event()
    await _pause_next_statement(sql_store, started, may_go_on)
    asking = asyncio.create_task(sql_store.accept(ask("1", "Never mind?")))
    await asyncio.to_thread(started.wait)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    may_go_on.set()

    assert (await accepted(sql_store, ask("2"))).number == 2
    assert await texts(sql_store) == ["Never mind?", "Why is the sky blue?"]
    with closing(sqlite3.connect(path, timeout=0)) as other_program:
        other_program.execute("BEGIN IMMEDIATE")


async def _pause_next_statement(
    store: SqlThreadStore, started: threading.Event, may_go_on: threading.Event
) -> None:
    """The writer's thread stops within its next insert until ``may_go_on``."""

    def pause() -> None:
        started.set()
        may_go_on.wait(timeout=5)

    def install(connection: Connection) -> None:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.create_function("pause", 0, pause)
        connection.exec_driver_sql(
            "CREATE TEMP TRIGGER paused BEFORE INSERT ON main.seen BEGIN SELECT pause(); END"
        )

    await store.database.write(install)


async def test_a_writer_that_was_killed_writes_what_it_had_begun_and_frees_the_file(
    sql_store: SqlThreadStore, path: Path
) -> None:
    started, may_go_on = threading.Event(), threading.Event()
    await _pause_next_statement(sql_store, started, may_go_on)
    asking = asyncio.create_task(sql_store.accept(ask("1")))
    await asyncio.to_thread(started.wait)
    late = asyncio.create_task(sql_store.accept(ask("2")))
    [writer] = [task for task in asyncio.all_tasks() if task.get_name() == "history writer"]
    await settle()

    writer.cancel()
    may_go_on.set()
    for question in (asking, late):
        with pytest.raises(StorageError) as caught:
            await question
        assert "closed" in caught.value.detail

    store = await open_store(f"sqlite:///{path}", FakeClock())
    assert (await accepted(store, ask("3"))).number == 2
    assert await store.accept(ask("1")) is None
    await store.close()


async def test_one_write_that_fails_takes_no_other_with_it(sql_store: SqlThreadStore) -> None:
    outcomes = await asyncio.gather(
        sql_store.accept(ask("1")),
        sql_store.begin("no such turn"),
        sql_store.accept(ask("2")),
        return_exceptions=True,
    )

    assert isinstance(outcomes[1], LookupError)
    assert [turn.number for turn in await sql_store.turns(HERE)] == [1, 2]


async def test_readers_do_not_wait_for_a_writer(sql_store: SqlThreadStore, path: Path) -> None:
    await accepted(sql_store, ask("1"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other_program:
        other_program.execute("BEGIN IMMEDIATE")
        other_program.execute("UPDATE turns SET text = 'half done'")

        assert await texts(sql_store) == ["Why is the sky blue?"]


async def test_readers_that_are_cancelled_cost_the_next_ones_nothing(
    sql_store: SqlThreadStore,
) -> None:
    await accepted(sql_store, ask("1"))
    opened: list[object] = []

    def count(connection: object, _record: object) -> None:
        opened.append(connection)

    event.listen(Pool, "connect", count)
    try:
        for num_turns_of_the_loop in range(40):
            reading = asyncio.create_task(sql_store.turns(HERE))
            for _ in range(num_turns_of_the_loop):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
        assert await texts(sql_store) == ["Why is the sky blue?"]
    finally:
        event.remove(Pool, "connect", count)
    assert 1 <= len(opened) <= NUM_READERS


async def test_a_file_that_another_program_locks_is_said_so_and_works_again_after(
    sql_store: SqlThreadStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other_program:
        other_program.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="please ask again in a minute"):
            await sql_store.accept(ask("1"))
    assert f"{path} is locked by another program" in caplog.text

    assert (await accepted(sql_store, ask("1"))).number == 1


async def test_a_full_disk_refuses_the_question_and_changes_nothing(
    sql_store: SqlThreadStore,
) -> None:
    turn = await accepted(sql_store, ask("1"))
    num_pages = await _pragma(sql_store, "page_count", of_writer=True)
    await _pragma(sql_store, f"max_page_count={num_pages}", of_writer=True)

    with pytest.raises(StorageFull, match="disk is full"):
        await sql_store.accept(ask("2", "long " * 100_000))
    assert await sql_store.turns(HERE) == [turn]

    await _pragma(sql_store, "max_page_count=1000000", of_writer=True)
    assert (await accepted(sql_store, ask("2", "long " * 100_000))).number == 2


async def test_on_a_full_disk_what_fits_is_still_stored(sql_store: SqlThreadStore) -> None:
    await accepted(sql_store, ask("1"))
    num_pages = await _pragma(sql_store, "page_count", of_writer=True)
    await _pragma(sql_store, f"max_page_count={num_pages}", of_writer=True)

    outcomes = await asyncio.gather(
        sql_store.accept(ask("2")),
        sql_store.accept(ask("3", "long " * 100_000)),
        sql_store.accept(ask("4")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], StorageFull)
    assert [turn.message_id for turn in await sql_store.turns(HERE)] == ["1", "2", "4"]


async def test_a_write_that_first_reads_keeps_others_from_writing_in_between(
    sql_store: SqlThreadStore, path: Path
) -> None:
    started, may_go_on = threading.Event(), threading.Event()
    await _pause_next_statement(sql_store, started, may_go_on)
    reading = asyncio.create_task(
        sql_store.database.write(lambda c: c.exec_driver_sql("SELECT pause()").scalar())
    )
    await asyncio.to_thread(started.wait)

    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other_program:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other_program.execute("BEGIN IMMEDIATE")
        may_go_on.set()
        await reading
        other_program.execute("BEGIN IMMEDIATE")
