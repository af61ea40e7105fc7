"""Nothing of what was forgotten is in any byte of the files, however SQLite moved it about."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.history import SqlThreadStore, open_store
from bot.history.remains import PageGaps, truncate_log
from bot.types import Place
from tests.contracts.store import HERE, accepted, answered, ask, rate, texts
from tests.fakes.clock import FakeClock
from tests.scenarios.polling import eventually

SECRET = "kookaburra"
PLACES = [Place("slack", "T1", "C1", f"1700.{number}") for number in range(8)]


def left(path: Path) -> dict[str, int]:
    """Files with the secret in them, and how often."""
    found = {file.name: file.read_bytes().count(SECRET.encode()) for file in path.parent.iterdir()}
    return {name: number for name, number in found.items() if number}


def _words(place: Place, number: int) -> str:
    return " ".join([SECRET if place == PLACES[0] else "geraniums!"] * number)


async def _live(store: SqlThreadStore, seed: int) -> None:
    """Short questions of many threads, which are then edited to all lengths: rows move about."""
    chance = random.Random(seed)  # noqa: S311
    turns = [
        await accepted(store, ask(f"q{number}", _words(place, 3), place=place))
        for number in range(150)
        for place in [chance.choice(PLACES)]
    ]
    for turn in chance.choices(turns, k=300):
        await store.edit_question(turn.id, _words(turn.place, chance.choice([1, 5, 20, 60, 100])))


@pytest.mark.parametrize("seed", [7, 11])  # with these SQLite 3.40 leaves copies in gaps
async def test_forgotten_words_are_in_no_byte_of_the_folder(
    sql_store: SqlThreadStore, path: Path, seed: int
) -> None:
    await _live(sql_store, seed)
    assert left(path)

    await sql_store.forget(PLACES[0])
    assert left(path) == {}
    for place in PLACES:
        for turn in await sql_store.turns(place):
            await rate(sql_store, turn, 1)  # every page is written again
    await asyncio.to_thread(truncate_log, path)
    assert left(path) == {}
    assert await _faults(path) == ["ok"]


async def _faults(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("PRAGMA integrity_check")]


async def test_what_other_threads_say_outlives_the_cleaning(
    sql_store: SqlThreadStore, path: Path
) -> None:
    await _live(sql_store, 11)
    before = [await texts(sql_store, place) for place in PLACES[1:]]
    await sql_store.forget(PLACES[0])
    await sql_store.close()

    store = await open_store(f"sqlite:///{path}", FakeClock())
    assert [await texts(store, place) for place in PLACES[1:]] == before
    await store.close()


async def test_a_short_read_delays_the_command_and_hides_nothing_from_it(path: Path) -> None:
    """Another program reads for a moment; the words are gone when the command returns."""
    store = await open_store(f"sqlite:///{path}", FakeClock(), busy_timeout=30.0)
    await answered(store, ask("1", SECRET))
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM turns").fetchone()
    forgetting = asyncio.create_task(store.forget(HERE))
    await eventually(lambda: _num_turns(path) == 0)
    await accepted(store, ask("2", place=PLACES[1]))  # nobody else waits for that
    assert not forgetting.done()
    reader.close()
    await forgetting
    assert left(path) == {}
    await store.close()


def _num_turns(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM turns").fetchone()[0])


async def test_what_a_long_read_kept_goes_soon_after_it(
    sql_store: SqlThreadStore, path: Path
) -> None:
    await answered(sql_store, ask("1", SECRET))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        await sql_store.forget(HERE)
        assert left(path)
    await eventually(lambda: not left(path))


@pytest.mark.parametrize("page_bytes", [512, 4096, 65_536])
def test_gaps_are_found_whatever_the_size_of_a_page(tmp_path: Path, page_bytes: int) -> None:
    path = tmp_path / "any.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_bytes}")
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("INSERT INTO notes VALUES (?)", (SECRET,))
        connection.execute("PRAGMA secure_delete = OFF")
        connection.commit()
        connection.execute("DELETE FROM notes")
        connection.commit()
    assert left(path)
    gaps = PageGaps(path)
    assert gaps.clear()
    gaps.close()
    assert left(path) == {}


def test_a_map_of_pages_is_no_page_with_gaps(tmp_path: Path) -> None:
    """Some builds of SQLite keep one in every database, for ``auto_vacuum``."""
    path = tmp_path / "any.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("CREATE TABLE others (text TEXT)")
        while connection.execute("PRAGMA page_count").fetchone()[0] < 821:
            connection.execute("INSERT INTO notes VALUES (?)", ("x" * 900,))
        # The next page is the second of the map, and begins as a page of an index does.
        connection.executemany("INSERT INTO others VALUES (?)", [("x" * 900,)] * 40)
        connection.commit()
    gaps = PageGaps(path)
    assert gaps.clear()
    gaps.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_gaps_wait_for_the_end_of_a_write_by_somebody_else(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE notes (text TEXT)")
        gaps = PageGaps(path)
        assert not gaps.clear()
        assert truncate_log(path)
        writer.execute("BEGIN IMMEDIATE")
        assert not gaps.clear()
        writer.execute("COMMIT")
        assert gaps.clear()
        gaps.close()
