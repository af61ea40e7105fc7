"""Threads that speak again after all the others have: restored against evaluated anew."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.generation import ChatMessage, Delta, GenerationRequest, Sampling
from bot.inference.engine.offloading import OffloadOptions
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.metrics import Metrics
from tests.benchmarks import command
from tests.benchmarks.chat_load import filler
from tests.benchmarks.endless import options
from tests.benchmarks.figures import Row, Table, at_most, milliseconds, percentile

ANEW, POOL, MEMORY, DISK, RESTART = "evaluated anew", "pool", "memory", "disk", "restart"
EXPECTED = {MEMORY: 0.1, DISK: 0.2, RESTART: 0.2}
_RETURN = ChatMessage("user", "And what would you say to somebody who has never seen one?")
_REPLY_TOKENS = 4
_MAX_DISK = 8 << 30
_COLUMNS = (
    "thread comes from",
    "returns",
    "first token ms p50",
    "p99",
    "ratio to anew",
    "expected",
)


@dataclass(frozen=True, slots=True)
class Size:
    """``num_words`` of each thread's first question; ``max_memory`` for states, in bytes."""

    num_threads: int = 60
    num_words: int = 900
    max_memory: int = 512 << 20
    num_cells: int = 16_384
    num_anew: int = 12


QUICK = Size(num_threads=8, num_words=120, max_memory=14 << 20, num_cells=1_024, num_anew=2)


@dataclass(slots=True)
class Thread:
    """``messages`` so far; each return adds to them."""

    number: int
    messages: list[ChatMessage]


@dataclass(slots=True)
class Found:
    """Seconds to the first token, by where the thread came from; and what it was counted as."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    num_tokens: int = 0
    dropped: float = 0.0

    def add(self, source: str, seconds: float) -> None:
        self.seconds.setdefault(source, []).append(seconds)


class Asker:
    """One turn after the other, and a look at the counters behind each."""

    def __init__(self, engine: InferenceService, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics

    async def ask(self, thread: Thread, scope: str = "bench") -> float:
        """Seconds to the first token; the reply joins the thread."""
        request = GenerationRequest(
            messages=tuple(thread.messages),
            person="one",
            thread=str(thread.number),
            scope=scope,
            sampling=Sampling(temperature=0),
            max_tokens=_REPLY_TOKENS,
        )
        begun, first, reply = time.perf_counter(), 0.0, ""
        async for event in await self._engine.generate(request):
            if isinstance(event, Delta):
                first = first or time.perf_counter() - begun
                reply += event.text
        thread.messages.append(ChatMessage("assistant", reply))
        return first

    async def come_back(self, thread: Thread) -> tuple[str, float]:
        """Where it came from, and its seconds."""
        before = self._restored()
        thread.messages.append(_RETURN)
        seconds = await self.ask(thread)
        after = self._restored()
        tier = next((tier for tier in before if after[tier] > before[tier]), POOL)
        return tier, seconds

    def _restored(self) -> dict[str, float]:
        return {tier: self.count("restored_total", tier=tier) for tier in (MEMORY, DISK)}

    def count(self, name: str, **labels: str) -> float:
        return self._metrics.registry.get_sample_value(f"parley_{name}", labels) or 0.0


@asynccontextmanager
async def engine(chosen: LlamaOptions, offloading: OffloadOptions) -> AsyncIterator[Asker]:
    def load() -> LlamaModel:
        return LlamaModel(locate.locate(locate.EMBEDDED), chosen)

    model, metrics = await asyncio.to_thread(load), Metrics()
    service = InferenceService(model, metrics, max_running=4, max_waiting=4, offloading=offloading)
    async with service:
        yield Asker(service, metrics)


async def compare(size: Size, chosen: LlamaOptions, folder: Path) -> Found:
    """Begin all threads; they return oldest first, newest first, and after a restart."""
    found = Found()
    offloading = OffloadOptions(size.max_memory, _MAX_DISK, folder / "parked")
    threads = [_thread(number, size.num_words) for number in range(size.num_threads)]
    async with engine(chosen, offloading) as asker:
        for thread in threads:
            await asker.ask(thread)
        for order in (threads, threads[::-1]):
            for thread in order:
                found.add(*await asker.come_back(thread))
        found.dropped = asker.count("parked_dropped_total")
    async with engine(chosen, offloading) as asker:
        for thread in threads:
            tier, seconds = await asker.come_back(thread)
            found.add(RESTART if tier == DISK else tier, seconds)
    async with engine(chosen, OffloadOptions()) as asker:
        for thread in threads[: size.num_anew]:
            thread.messages.append(_RETURN)
            found.add(ANEW, await asker.ask(thread, scope=f"anew {thread.number}"))
        found.num_tokens = round(asker.count("prompt_tokens_total", source="evaluated"))
    found.num_tokens //= size.num_anew
    return found


def _thread(number: int, num_words: int) -> Thread:
    return Thread(number, [ChatMessage("user", filler(number, num_words))])


async def measure(quick: bool) -> list[Table]:
    size = QUICK if quick else Size()
    with tempfile.TemporaryDirectory() as folder:
        chosen = options(max_running=4, num_cells=size.num_cells)
        found = await compare(size, chosen, Path(folder))
    check(found)
    title = (
        f"Cold return: {size.num_threads} threads of {found.num_tokens:,} tokens, one at a time, "
        f"{size.max_memory >> 20} MB of memory"
    )
    return [Table(title, _COLUMNS, rows(found), _notes(found))]


def check(found: Found) -> None:
    """A benchmark of something that did not happen must not look like one."""
    missing = [source for source in EXPECTED if source not in found.seconds]
    if missing:
        raise RuntimeError(f"nothing was restored from {', '.join(missing)}")


def rows(found: Found) -> list[Row]:
    anew = statistics.median(found.seconds[ANEW])
    return [_row(source, seconds, anew) for source, seconds in sorted(found.seconds.items())]


def _row(source: str, seconds: Sequence[float], anew: float) -> Row:
    median = statistics.median(seconds)
    ratio = median / anew
    expected = at_most(ratio, EXPECTED[source]) if source in EXPECTED else ""
    times = milliseconds(median), milliseconds(percentile(seconds, 0.99))
    return (source, str(len(seconds)), *times, f"{ratio:.3f}", expected)


def _notes(found: Found) -> list[str]:
    return [f"states given up for want of room: {found.dropped:.0f}"] if found.dropped else []


if __name__ == "__main__":
    command.run(measure)
