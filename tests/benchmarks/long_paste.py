"""Seven replies run, and somebody pastes 4,000 tokens: who waits for whom, and how long."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import aiohttp

from bot.config import Settings
from tests.benchmarks import command, counters, examples_server, servers
from tests.benchmarks.chat_load import WORDS, Message, Reply, Users, filler
from tests.benchmarks.figures import Table, at_most, milliseconds, percentile

NUM_REPLIES, PASTE_WORDS = 7, 4_000
NUM_ROUNDS, MAX_RERUNS = 3, 2
MAX_GAP, MAX_FIRST = 6.0, 4.0
_QUIET_SECONDS, _BEGIN_SECONDS = 4.0, 60.0
_REPLY_TOKENS, _PASTE_REPLY_TOKENS = 1_500, 2
_NUM_LINES = 24
_COUNTERS = (counters.EVALUATED, counters.COMPLETED)
_COLUMNS = (
    "who",
    "gap p50 ms",
    "p99 beside the paste",
    "max",
    "ratio",
    "paste's first token alone s",
    "beside the replies",
    "ratio",
    "expected",
)
_TITLE = f"Long paste: {PASTE_WORDS:,} words and more tokens arrive, {NUM_REPLIES} replies run"


@dataclass(frozen=True, slots=True)
class Paste:
    """Gaps between deltas of the running replies, before it came and until it was answered.

    ``alone`` and ``beside``: seconds to its first token. ``num_ended``: replies that did not
    outlast it.
    """

    quiet: Sequence[float]
    busy: Sequence[float]
    alone: float
    beside: float
    num_ended: int = 0

    @property
    def gap_ratio(self) -> float:
        return percentile(self.busy, 0.99) / statistics.median(self.quiet)

    @property
    def first_ratio(self) -> float:
        return self.beside / self.alone


@dataclass(frozen=True, slots=True)
class Size:
    num_replies: int
    num_words: int
    quiet_seconds: float
    num_rounds: int


FULL = Size(NUM_REPLIES, PASTE_WORDS, _QUIET_SECONDS, NUM_ROUNDS)
QUICK = Size(2, 300, 0.5, 1)


async def measure(quick: bool) -> list[Table]:
    size, settings = QUICK if quick else FULL, Settings()
    with tempfile.TemporaryDirectory() as folder:
        parley = servers.parley(Path(folder) / "parley", {"PARLEY_MAX_TOKENS": str(_REPLY_TOKENS)})
        async with parley.running() as url:
            before = await counters.read(url)
            ours, notes = await _pastes(url, size)
            counted = counters.moved(before, await counters.read(url))
        examples = examples_server.server(
            Path(folder) / "examples",
            num_threads=settings.num_threads,
            num_cells=settings.kv_tokens,
        )
        async with examples.running() as url:
            theirs, _ = await _pastes(url, Size(size.num_replies, size.num_words, 1.0, 1))
    failures = [] if ours else ["in no round the replies outlasted the paste"]
    failures += counters.unmoved(counted, _COUNTERS)
    rows = [*rows_of("Parley", ours), *rows_of("examples/server", theirs, expected=False)]
    notes.append(counters.told(counted, _COUNTERS))
    return [Table(_TITLE, _COLUMNS, rows, notes, failures)]


async def _pastes(url: str, size: Size) -> tuple[list[Paste], list[str]]:
    """As many rounds as are wanted in which every reply outlasted the paste."""
    found: list[Paste] = []
    notes: list[str] = []
    await _paste(url, size, seed=0)  # to warm up
    for seed in range(1, 1 + size.num_rounds + MAX_RERUNS):
        if len(found) == size.num_rounds:
            break
        paste = await _paste(url, size, seed)
        if paste.num_ended:
            notes.append(f"round {seed}: {paste.num_ended} replies ended early: does not count")
        else:
            found.append(paste)
    return found, notes


async def _paste(url: str, size: Size, seed: int) -> Paste:
    async with _users(url, _PASTE_REPLY_TOKENS) as pasting, _users(url, _REPLY_TOKENS) as talking:
        alone = await pasting.ask(_question(2 * seed, size), "alone")
        readers = [Reader(seed * size.num_replies + i) for i in range(size.num_replies)]
        async with _reading(readers, talking):
            begun_at = time.perf_counter()
            await asyncio.sleep(size.quiet_seconds)
            sent_at = time.perf_counter()
            beside = await pasting.ask(_question(2 * seed + 1, size), "beside")
            seconds = _first_token(beside)
            return Paste(
                quiet=_gaps(readers, begun_at, sent_at),
                busy=_gaps(readers, sent_at, sent_at + seconds),
                alone=_first_token(alone),
                beside=seconds,
                num_ended=sum(reader.has_ended for reader in readers),
            )


def _gaps(readers: Sequence[Reader], since: float, until: float) -> list[float]:
    return [gap for reader in readers for gap in reader.gaps(since, until)]


def _first_token(reply: Reply) -> float:
    return reply.total if reply.ttft is None else reply.ttft


class Reader:
    """Somebody whose reply goes on and on: a list that the question has begun."""

    def __init__(self, number: int) -> None:
        self._name = f"reader {number}"
        one, other = WORDS[number % len(WORDS)], WORDS[(number + 7) % len(WORDS)]
        begun = "\n".join(f"{line}. {one} {other}" for line in range(1, _NUM_LINES + 1))
        self._question = f"List a thousand words that begin with {one[0]}, one a line.\n{begun}"
        self.times: list[float] = []
        self.begun = asyncio.Event()
        self.has_ended = False

    async def read(self, users: Users) -> None:
        await users.ask([{"role": "user", "content": self._question}], self._name, self._note)
        self.has_ended = True

    def gaps(self, since: float, until: float) -> list[float]:
        """Between deltas, as far as they are known at ``until``; the last one is still open."""
        times = [at for at in self.times if at < until] + [until]
        return [end - start for start, end in pairwise(times) if end > since]

    def _note(self) -> None:
        self.times.append(time.perf_counter())
        self.begun.set()


@asynccontextmanager
async def _reading(readers: Sequence[Reader], users: Users) -> AsyncIterator[None]:
    """Entered once every reply has begun; hangs up at the end."""
    tasks = [asyncio.create_task(reader.read(users)) for reader in readers]
    try:
        async with asyncio.timeout(_BEGIN_SECONDS):
            await asyncio.gather(*(reader.begun.wait() for reader in readers))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def _users(url: str, max_tokens: int) -> AsyncIterator[Users]:
    options = Namespace(url=url, model="smollm2", max_tokens=max_tokens, key=None)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        yield Users(session, options)


def _question(seed: int, size: Size) -> list[Message]:
    return [{"role": "user", "content": f"Sum this up: {filler(seed, size.num_words)}"}]


def rows_of(name: str, pastes: Sequence[Paste], *, expected: bool = True) -> list[tuple[str, ...]]:
    if not pastes:
        return []
    gap = statistics.median(paste.gap_ratio for paste in pastes)
    first = statistics.median(paste.first_ratio for paste in pastes)
    quiet = statistics.median(gap for paste in pastes for gap in paste.quiet)
    busy = [gap for paste in pastes for gap in paste.busy]
    verdict = f"gap {at_most(gap, MAX_GAP)}, first token {at_most(first, MAX_FIRST)}"
    row = (
        name,
        milliseconds(quiet),
        milliseconds(percentile(busy, 0.99)),
        milliseconds(max(busy, default=0.0)),
        f"{gap:.1f}",
        f"{statistics.median(paste.alone for paste in pastes):.2f}",
        f"{statistics.median(paste.beside for paste in pastes):.2f}",
        f"{first:.2f}",
        verdict if expected else "",
    )
    return [row]


if __name__ == "__main__":
    command.run(measure)
