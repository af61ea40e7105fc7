from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.errors import StorageError
from bot.history import SqlThreadStore, open_store
from bot.history.schema import turns
from tests.bot.new_database import open_new_store
from tests.contracts.store import (
    BOB,
    HERE,
    Reopen,
    ThreadStoreContract,
    accepted,
    ask,
    rate,
    texts,
)
from tests.fakes.clock import FakeClock


class TestSqlThreadStore(ThreadStoreContract):
    @pytest.fixture
    async def reopen(self, path: Path, clock: FakeClock) -> AsyncIterator[Reopen]:
        opened: list[SqlThreadStore] = []

        async def reopen() -> SqlThreadStore:
            for store in opened:
                await store.close()
            opened.append(await open_new_store(path, clock))
            return opened[-1]

        yield reopen
        for store in opened:
            await store.close()


async def test_a_turn_is_rated_as_the_newest_vote_is_until_the_reply_is_made_anew(
    sql_store: SqlThreadStore,
) -> None:
    async def rating() -> int | None:
        return await sql_store.database.read(lambda c: c.scalar(select(turns.c.rating)))

    turn = await accepted(sql_store, ask("1"))
    await rate(sql_store, turn, -1)
    assert await rating() == -1
    await rate(sql_store, turn, 1, BOB)
    assert await rating() == 1
    await rate(sql_store, turn, -1)
    assert await rating() == -1
    await rate(sql_store, turn, 0)
    assert await rating() == 1
    await sql_store.requeue(turn.id)
    assert await rating() == 0
    await rate(sql_store, turn, 0, BOB)
    assert await rating() == 0


async def test_a_turns_id_and_part_fit_the_nonce_of_a_discord_message(
    sql_store: SqlThreadStore,
) -> None:
    turn = await accepted(sql_store, ask("1"))

    assert len(f"{turn.id}/9999") <= 25


async def test_whoever_writes_after_the_end_is_told_that_the_history_is_closed(
    sql_store: SqlThreadStore,
) -> None:
    await sql_store.close()
    await sql_store.close()

    with pytest.raises(StorageError, match="memory"):
        await sql_store.accept(ask("1"))
    with pytest.raises(StorageError, match="memory"):
        await sql_store.turns(HERE)


async def test_closing_commits_what_waits(sql_store: SqlThreadStore, path: Path) -> None:
    asked = [asyncio.create_task(sql_store.accept(ask(str(number)))) for number in range(100)]
    await asyncio.sleep(0)
    await sql_store.close()
    assert all(await asyncio.gather(*asked))

    store = await open_store(f"sqlite:///{path}", FakeClock())
    assert len(await store.turns(HERE)) == 100
    await store.close()


_ACCEPTS_AND_WAITS = """
import asyncio, sys
from bot.clock import SystemClock
from bot.history import open_store
from tests.contracts.store import accepted, ask

async def main():
    store = await open_store(sys.argv[1], SystemClock())
    await accepted(store, ask("1", "Is anybody there?"))
    print("accepted", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_question_that_was_accepted_survives_kill_9(path: Path) -> None:
    url = f"sqlite:///{path}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ACCEPTS_AND_WAITS, url, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"accepted\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()

    store = await open_store(url, FakeClock())
    assert await texts(store) == ["Is anybody there?"]
    await store.close()
