"""Eight replies run, and somebody pastes 1,000 tokens and more: who waits for whom, how long."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path

from bot.config import Settings
from tests.benchmarks import command, counters, examples_server, prompts, servers
from tests.benchmarks.chat_load import Message, Reply, Users, burst_messages, connected, filler
from tests.benchmarks.figures import Row, Table, at_least, at_most, milliseconds, percentile

NUM_REPLIES = 8
NUM_ROUNDS = dict(zip(prompts.NUM_WORDS, (3, 1, 1), strict=True))
"""By the words of the paste; the longer ones take minutes."""
MAX_GAP, MAX_FIRST, MIN_SPEED = 6.0, 4.0, 0.5
_QUIET_SECONDS, _BEGIN_SECONDS, _MAX_SECONDS = 4.0, 60.0, 600.0
_REPLY_TOKENS, _PASTE_REPLY_TOKENS = 400, 2
_STORY_WORDS = 60
_COUNTERS = (counters.EVALUATED, counters.COMPLETED)
_COLUMNS = (
    "paste's tokens",
    "who",
    "gap p50 ms",
    "p99 beside the paste",
    "max",
    "ratio",
    "paste's first token alone s",
    "beside the replies",
    "ratio",
    "replies' speed beside it",
    "expected",
)
_TITLE = "Long paste: one arrives while {} replies run"
_numbers = count()
"""No paste and no story is asked for twice."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Of the running replies, in a span of time: the gaps between their deltas, deltas a second."""

    gaps: Sequence[float]
    speed: float


@dataclass(frozen=True, slots=True)
class Paste:
    """``quiet``: before it came; ``busy``: until it was answered.

    ``alone`` and ``beside``: seconds to its first token. Not all servers tell ``num_tokens``.
    """

    quiet: Heard
    busy: Heard
    alone: float
    beside: float
    num_tokens: int

    @property
    def gap_ratio(self) -> float:
        return percentile(self.busy.gaps, 0.99) / statistics.median(self.quiet.gaps)

    @property
    def first_ratio(self) -> float:
        return self.beside / self.alone

    @property
    def speed_ratio(self) -> float:
        return self.busy.speed / self.quiet.speed


@dataclass(frozen=True, slots=True)
class Size:
    num_replies: int
    num_rounds: Mapping[int, int]
    quiet_seconds: float


FULL = Size(NUM_REPLIES, NUM_ROUNDS, _QUIET_SECONDS)
QUICK = Size(2, {300: 1}, 2.0)


async def measure(quick: bool) -> list[Table]:
    size, settings = QUICK if quick else FULL, Settings()
    compared = sorted(size.num_rounds)[len(size.num_rounds) // 2]
    ours: dict[int, list[Paste]] = {}
    with tempfile.TemporaryDirectory() as folder:
        parley = servers.parley(Path(folder) / "parley", {"PARLEY_PER_MINUTE": "0"})
        async with parley.running() as url:
            before = await counters.read(url)
            for num_words, num_rounds in size.num_rounds.items():
                ours[num_words] = await _pastes(url, size, num_words, num_rounds)
            counted = counters.moved(before, await counters.read(url))
        examples = examples_server.server(
            Path(folder) / "examples",
            num_threads=settings.num_threads,
            num_cells=settings.kv_tokens,
        )
        async with examples.running() as url:
            theirs = await _pastes(url, size, compared, 1)
    num_tokens = {num_words: pastes[0].num_tokens for num_words, pastes in ours.items()}
    rows = [row_of("Parley", num_tokens[each], ours[each]) for each in ours]
    rows.append(row_of("examples/server", num_tokens[compared], theirs, expected=False))
    notes, failures = [counters.told(counted, _COUNTERS)], counters.unmoved(counted, _COUNTERS)
    return [Table(_TITLE.format(size.num_replies), _COLUMNS, rows, notes, failures)]


async def _pastes(url: str, size: Size, num_words: int, num_rounds: int) -> list[Paste]:
    async with (
        connected(url, _PASTE_REPLY_TOKENS, _MAX_SECONDS) as pasting,
        connected(url, _REPLY_TOKENS, _MAX_SECONDS) as talking,
    ):
        await pasting.ask(_question(20), "warm up")
        return [await _paste(pasting, talking, size, num_words) for _ in range(num_rounds)]


async def _paste(pasting: Users, talking: Users, size: Size, num_words: int) -> Paste:
    alone = await pasting.ask(_question(num_words), "alone")
    readers = [Reader(f"reader {number}") for number in range(size.num_replies)]
    async with _reading(readers, talking):
        begun_at = time.perf_counter()
        await asyncio.sleep(size.quiet_seconds)
        sent_at = time.perf_counter()
        beside = await pasting.ask(_question(num_words), "beside")
        seconds, quiet = _first_token(beside), heard(readers, begun_at, sent_at)
        if not quiet.gaps or not quiet.speed:
            raise RuntimeError("no reply went on before the paste came")
        return Paste(
            quiet=quiet,
            busy=heard(readers, sent_at, sent_at + seconds),
            alone=_first_token(alone),
            beside=seconds,
            num_tokens=beside.prompt_tokens,
        )


def heard(readers: Sequence[Reader], since: float, until: float) -> Heard:
    gaps = [gap for reader in readers for gap in reader.gaps(since, until)]
    num_deltas = sum(reader.num_deltas(since, until) for reader in readers)
    return Heard(gaps, num_deltas / (until - since))


def _first_token(reply: Reply) -> float:
    return reply.total if reply.ttft is None else reply.ttft


@dataclass(slots=True)
class Story:
    """A reply, and when each delta of it came."""

    times: list[float] = field(default_factory=list)
    ended_at: float = float("inf")

    def gaps(self, since: float, until: float) -> list[float]:
        """Between deltas, as far as they are known at ``until``; the last may still be open."""
        times = [at for at in self.times if at < until]
        if times and self.ended_at > until:
            times.append(until)
        return [end - start for start, end in pairwise(times) if end > since]


class Reader:
    """Somebody who asks for a story, and for another one when that has ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.stories: list[Story] = []
        self.begun = asyncio.Event()

    async def read(self, users: Users) -> None:
        while True:
            story = Story()
            self.stories.append(story)
            question = burst_messages(next(_numbers), 0, _STORY_WORDS)
            await users.ask(question, self._name, self._note)
            story.ended_at = time.perf_counter()

    def gaps(self, since: float, until: float) -> list[float]:
        """Those within each story; until the next one begins is none."""
        return [gap for story in self.stories for gap in story.gaps(since, until)]

    def num_deltas(self, since: float, until: float) -> int:
        return sum(since < at <= until for story in self.stories for at in story.times)

    def _note(self) -> None:
        self.stories[-1].times.append(time.perf_counter())
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


def _question(num_words: int) -> list[Message]:
    return [{"role": "user", "content": f"Sum this up: {filler(next(_numbers), num_words)}"}]


def row_of(name: str, num_tokens: int, pastes: Sequence[Paste], *, expected: bool = True) -> Row:
    gap = statistics.median(paste.gap_ratio for paste in pastes)
    first = statistics.median(paste.first_ratio for paste in pastes)
    speed = statistics.median(paste.speed_ratio for paste in pastes)
    quiet = statistics.median(gap for paste in pastes for gap in paste.quiet.gaps)
    busy = [gap for paste in pastes for gap in paste.busy.gaps]
    verdicts = (
        f"gap {at_most(gap, MAX_GAP)}",
        f"first token {at_most(first, MAX_FIRST)}",
        f"speed {at_least(speed, MIN_SPEED)}",
    )
    return (
        f"{num_tokens:,}",
        name,
        milliseconds(quiet),
        milliseconds(percentile(busy, 0.99)),
        milliseconds(max(busy, default=0.0)),
        f"{gap:.1f}",
        f"{statistics.median(paste.alone for paste in pastes):.2f}",
        f"{statistics.median(paste.beside for paste in pastes):.2f}",
        f"{first:.2f}",
        f"{speed:.2f}",
        ", ".join(verdicts) if expected else "",
    )


if __name__ == "__main__":
    command.run(measure)
