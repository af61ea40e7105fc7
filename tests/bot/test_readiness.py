"""The database as ``/readyz`` sees it: a real file that others lock, take away and put back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.history.store import SqlThreadStore, open_store
from bot.running.database_watch import DatabaseWatch
from tests.fakes.clock import FakeClock, settle

UP = {"status": "up", "detail": ""}
SOON = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "parley.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlThreadStore]:
    store = await open_store(f"sqlite:///{path}", FakeClock(), busy_timeout=0.05)
    yield store
    await store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program writes to the database and takes its time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_database_that_takes_writes_is_up(store: SqlThreadStore) -> None:
    assert await DatabaseWatch(store.is_sound, patience=SOON).status() == UP


async def test_one_that_another_program_locks_is_failing_until_it_lets_go(
    store: SqlThreadStore, path: Path
) -> None:
    watch = DatabaseWatch(store.is_sound, patience=SOON)
    with locked(path):
        assert await watch.status() == {
            "status": "failing",
            "detail": "It takes no writes; the log says why.",
        }
    assert await watch.status() == UP


async def test_one_that_was_moved_is_failing_until_it_is_back(
    store: SqlThreadStore, path: Path
) -> None:
    watch = DatabaseWatch(store.is_sound, patience=SOON)
    elsewhere = path.with_name("elsewhere.db")
    os.rename(path, elsewhere)
    expected = "Its file was moved, deleted or replaced; start Parley again."
    assert (await watch.status())["detail"] == expected
    await asyncio.to_thread(path.touch)
    assert (await watch.status())["detail"] == expected
    os.rename(elsewhere, path)
    assert await watch.status() == UP


async def test_one_that_does_not_answer_is_failing_and_asked_once_at_a_time() -> None:
    answered, num_asked = asyncio.Event(), 0

    async def is_sound() -> bool:
        nonlocal num_asked
        num_asked += 1
        return await answered.wait()

    hurried = DatabaseWatch(is_sound, patience=0)
    for _ in range(3):
        assert (await hurried.status())["detail"] == "It does not answer within 0 s."
    assert num_asked == 1
    answered.set()
    await settle()
    await hurried.status()
    assert num_asked == 2
