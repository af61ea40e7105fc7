"""Replies to prompts of a thousand tokens, 1, 8 and 16 at once: how fast they are written.

The prompts are read before, and every server keeps them: only decoding is timed, from the moment
when every reply has begun to the first that ends.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.config import Settings
from tests.benchmarks import command, counters, llama_server, servers
from tests.benchmarks.chat_load import Message, Reply, Users, connected, filler
from tests.benchmarks.figures import Row, Table, at_least
from tests.benchmarks.rounds import order
from tests.benchmarks.servers import Server
from tests.benchmarks.sides import LLAMA_SERVER, LLAMA_SERVER_BEST, LLAMA_SERVERS, PARLEY

SIZES = (1, 8, 16)
EXPECTED = {LLAMA_SERVER: 2.0, LLAMA_SERVER_BEST: 1.0}
"""Tokens/s at least, as a ratio to theirs."""
NUM_CELLS = 32_768
"""16 replies of 1,100 tokens do not fit into half of that."""
NUM_ROUNDS, NUM_TOKENS, NUM_WORDS = 5, 48, 960
_MIN_TOKENS = 8
"""Of a reply while all are written, on average; a round with fewer does not count."""
_REST_SECONDS, _MAX_SECONDS = 1.0, 300.0
_NO_END = {"0": -100, "2": -100}
"""SmolLM2's tokens that end a reply: some would have no text."""
_COUNTERS = (counters.EVALUATED, counters.COMPLETED)
_COLUMNS = ("replies", "who", "tokens/s", "ratio", "first token s", "expected")
_TITLE = "Depth: replies to prompts of {:,} tokens, while all are written; ratios are Parley's"


@dataclass(frozen=True, slots=True)
class Written:
    """A reply, and when each part of it came (``time.perf_counter``)."""

    times: Sequence[float]
    reply: Reply

    def num_tokens(self, since: float, until: float) -> float:
        """After ``since`` and up to ``until``; a part has as many tokens as its length tells."""
        parts = zip(self.times, self.reply.lengths, strict=True)
        length = sum(length for at, length in parts if since < at <= until)
        return length * self.reply.tokens / sum(self.reply.lengths)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Seconds and tokens from the moment when every reply has begun to the first that ends."""

    seconds: float
    num_tokens: float
    first_token: float

    @property
    def speed(self) -> float:
        return self.num_tokens / self.seconds


Found = dict[str, list[Decoding]]
Question = tuple[list[Message], str]
"""And who asks it."""


def decoding_of(replies: Sequence[Written]) -> Decoding:
    since = max(written.times[0] for written in replies)
    until = min(written.times[-1] for written in replies)
    num_tokens = sum(written.num_tokens(since, until) for written in replies)
    first = statistics.median(written.reply.ttft or 0.0 for written in replies)
    return Decoding(max(until - since, 0.0), num_tokens, first)


async def measure(quick: bool) -> list[Table]:
    sizes, num_rounds = ((1, 2), 1) if quick else (SIZES, NUM_ROUNDS)
    questions = [_question(number, 100 if quick else NUM_WORDS) for number in range(max(sizes))]
    found: dict[int, Found] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with _servers(Path(folder), quick) as by_name:
            urls = {name: server.url for name, server in by_name.items()}
            before = await counters.read(urls[PARLEY])
            num_tokens = [await _prime(url, questions) for url in urls.values()]
            for size in sizes:
                found[size] = await _rounds(urls, questions[:size], num_rounds)
            counted = counters.moved(before, await counters.read(urls[PARLEY]))
            chosen = by_name[PARLEY].told("speed")
    rows = [row for size, of_size in found.items() for row in rows_of(size, of_size)]
    flags = " ".join(llama_server.FOR_DEPTH)
    notes = [f"{PARLEY}: {chosen}", f"{LLAMA_SERVER_BEST}: {flags}"]
    notes.append(counters.told(counted, _COUNTERS))
    failures = [
        f"in no round {name} wrote {size} replies at once"
        for size, of_size in found.items()
        for name, decodings in of_size.items()
        if not decodings
    ]
    failures += counters.unmoved(counted, _COUNTERS)
    return [Table(_TITLE.format(num_tokens[0]), _COLUMNS, rows, notes, failures)]


@asynccontextmanager
async def _servers(folder: Path, quick: bool) -> AsyncIterator[dict[str, Server]]:
    """Quick: Parley alone, since llama-server takes ten minutes to build."""
    settings = {"PARLEY_KV_TOKENS": str(NUM_CELLS), "PARLEY_PER_MINUTE": "0"}
    by_name = {PARLEY: servers.parley(folder / "parley", settings)}
    for name, flags in {} if quick else LLAMA_SERVERS.items():
        by_name[name] = llama_server.server(
            folder / name,
            num_threads=Settings().num_threads,
            num_cells=NUM_CELLS,
            flags=flags,
        )
    async with AsyncExitStack() as stack:
        for server in by_name.values():
            await stack.enter_async_context(server.running())
        yield by_name


async def _prime(url: str, questions: Sequence[Question]) -> int:
    """Have every prompt read, one after the other; how many tokens the shortest has."""
    async with connected(url, 1, _MAX_SECONDS) as users:
        replies = [await users.ask(*question) for question in questions]
    return min(reply.prompt_tokens for reply in replies)


async def _rounds(urls: Mapping[str, str], questions: Sequence[Question], num: int) -> Found:
    """In alternation; a round in which somebody's reply ended at once does not count."""
    found: Found = {name: [] for name in urls}
    for number in range(num):
        for name in order(list(urls), number):
            await asyncio.sleep(_REST_SECONDS)
            async with connected(urls[name], NUM_TOKENS, _MAX_SECONDS) as users:
                users.options["logit_bias"] = _NO_END
                written = await asyncio.gather(*(_write(users, each) for each in questions))
            decoding = decoding_of(written)
            if decoding.num_tokens >= _MIN_TOKENS * len(questions):
                found[name].append(decoding)
    return found


async def _write(users: Users, question: Question) -> Written:
    times: list[float] = []
    reply = await users.ask(*question, lambda: times.append(time.perf_counter()))
    if not times:
        raise RuntimeError("a reply had no text")
    return Written(times, reply)


def _question(number: int, num_words: int) -> Question:
    words = filler(10_000 + number, num_words)
    task = f"Write a story of two thousand words with these words: {words}"
    return [Message(role="user", content=task)], f"u{number}"


def rows_of(size: int, found: Found) -> list[Row]:
    speeds = {
        name: statistics.median(each.speed for each in decodings)
        for name, decodings in found.items()
        if decodings
    }
    rows: list[Row] = []
    for name, speed in speeds.items():
        ratio = speeds[PARLEY] / speed if PARLEY in speeds else 0.0
        compared = (
            (f"{ratio:.2f}", at_least(ratio, EXPECTED[name])) if name in EXPECTED else ("", "")
        )
        first = statistics.median(each.first_token for each in found[name])
        rows.append((str(size), name, f"{speed:.0f}", compared[0], f"{first:.2f}", compared[1]))
    return rows


if __name__ == "__main__":
    command.run(measure)
