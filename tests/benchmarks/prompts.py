"""Prompts of many tokens, alone: how fast they are read, with and without idle threads."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

from bot.config import Settings
from tests.benchmarks import command, counters, llama_server, servers
from tests.benchmarks.chat_load import Message, Reply, Users, connected, filler
from tests.benchmarks.figures import Table, at_least
from tests.benchmarks.sides import LLAMA_SERVER, PARLEY

NUM_WORDS = (967, 3_967, 7_467)
"""Prompts of 1,000, 4,000 and 7,500 tokens."""
NUM_IDLE, IDLE_WORDS = 12, 950
"""Threads of 1,000 tokens that stay in memory: 12,000 cells."""
MIN_SPEED = 0.95
_NUM_ROUNDS = 3
_COUNTERS = (counters.EVALUATED, counters.PARKED)
_COLUMNS = (
    "prompt tokens",
    "pool",
    "Parley tokens/s",
    "llama-server tokens/s",
    "ratio",
    "expected",
)
_TITLE = "Long prompts: one at a time, each a new one; the ratio is Parley's to llama-server's"
_seeds = count(1)


async def measure(quick: bool) -> list[Table]:
    sizes, num_rounds = ((100, 200), 1) if quick else (NUM_WORDS, _NUM_ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        async with _sides(Path(folder), quick) as (users, url):
            before = await counters.read(url)
            rows = [await _row(users, "empty", size, num_rounds) for size in sizes]
            for _ in range(NUM_IDLE):
                await _read(users, IDLE_WORDS // (10 if quick else 1))
            rows += [await _row(users, "12,000 idle", size, num_rounds) for size in sizes]
            counted = counters.moved(before, await counters.read(url))
    demanded = _COUNTERS[:1] if quick else _COUNTERS
    return [
        Table(
            _TITLE,
            _COLUMNS,
            rows,
            [counters.told(counted, demanded)],
            counters.unmoved(counted, demanded),
        )
    ]


@asynccontextmanager
async def _sides(folder: Path, quick: bool) -> AsyncIterator[tuple[dict[str, Users], str]]:
    """Quick: Parley alone, since llama-server takes ten minutes to build."""
    settings = Settings()
    ours = servers.parley(folder / "parley", {})
    by_name = {PARLEY: ours}
    if not quick:
        by_name[LLAMA_SERVER] = llama_server.server(
            folder / "llama_server",
            num_threads=settings.num_threads,
            num_cells=settings.kv_tokens,
            flags=llama_server.UNIFIED,
        )
    async with AsyncExitStack() as stack:
        users = {}
        for name, server in by_name.items():
            url = await stack.enter_async_context(server.running())
            users[name] = await stack.enter_async_context(connected(url, 2, 600))
        await _read(users, 20)
        yield users, ours.url


async def _row(
    users: dict[str, Users], pool: str, num_words: int, num_rounds: int
) -> tuple[str, ...]:
    rounds = [await _read(users, num_words) for _ in range(num_rounds)]
    speeds = {
        name: statistics.median(_speed(replies[name]) for replies in rounds) for name in users
    }
    num_tokens = rounds[0][PARLEY].prompt_tokens
    ours, theirs = speeds[PARLEY], speeds.get(LLAMA_SERVER)
    compared = ("", "", "")
    if theirs:
        ratio = statistics.median(
            _speed(replies[PARLEY]) / _speed(replies[LLAMA_SERVER]) for replies in rounds
        )
        compared = (f"{theirs:.0f}", f"{ratio:.2f}", at_least(ratio, MIN_SPEED))
    return (f"{num_tokens:,}", pool, f"{ours:.0f}", *compared)


async def _read(users: dict[str, Users], num_words: int) -> dict[str, Reply]:
    """Each is asked alone, and all the same; who begins changes."""
    seed = next(_seeds)
    messages = [Message(role="user", content=f"Say yes. {filler(seed, num_words)}")]
    names = list(users) if seed % 2 else list(reversed(users))
    replies = {}
    for name in names:
        await asyncio.sleep(0.5)
        replies[name] = await users[name].ask(messages, f"u{seed}")
    return replies


def _speed(reply: Reply) -> float:
    return reply.prompt_tokens / (reply.ttft or 1.0)


if __name__ == "__main__":
    command.run(measure)
