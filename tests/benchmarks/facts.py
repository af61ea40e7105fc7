"""A fact base of 10,000 documents: indexed at rest; searched and found beside a busy model."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

from bot.facts.bases import FactBases, index_path
from bot.facts.index import IndexReader
from bot.generation import ChatMessage, GenerationRequest
from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from bot.stream import GenerationStream
from bot.types import Personality
from tests.benchmarks import command
from tests.benchmarks.chat_load import filler
from tests.benchmarks.endless import EndlessModel, options
from tests.benchmarks.figures import Table, at_least, at_most, milliseconds, percentile
from tests.corpus.questions import DOCUMENTS, Recall, asked_facts, distractors, recall_at_5

NUM_DOCUMENTS, NUM_WORDS = 10_000, 300
NUM_REPLIES = 8
MIN_MEGABYTES = 2.0
MAX_SEARCH = 0.020
MIN_RECALL = 0.9
_PERSONALITY = Personality("school", "School", "Answer.", facts="facts")
_COLUMNS = ("documents", "passages", "MB", "MB/s", "recall at 5", "search ms p50", "p95", "max")


@dataclass(frozen=True, slots=True)
class Found:
    """``megabytes``: of the files. ``searches``: seconds of each, beside the busy model."""

    num_passages: int
    megabytes: float
    seconds: float
    recall: Recall
    searches: Sequence[float]


async def measure(quick: bool) -> list[Table]:
    num_documents = 100 if quick else NUM_DOCUMENTS
    with tempfile.TemporaryDirectory() as folder:
        found = await _measure(Path(folder), num_documents)
    speed, p95 = found.megabytes / found.seconds, percentile(found.searches, 0.95)
    row = (
        *(f"{num_documents:,}", f"{found.num_passages:,}", f"{found.megabytes:.1f}"),
        *(f"{speed:.1f}", f"{found.recall.share:.3f}"),
        *map(milliseconds, (percentile(found.searches, 0.5), p95, max(found.searches))),
    )
    notes = [
        f"indexed in {found.seconds:.1f} s by a process of low priority, beside nothing; expected "
        f"MB/s {at_least(speed, MIN_MEGABYTES)}",
        f"{len(found.searches)} questions in three languages, one after the other, beside "
        f"{NUM_REPLIES} replies in the same process; expected ms at the 95th percentile "
        f"{at_most(p95 * 1000, MAX_SEARCH * 1000)}",
        f"recall {at_least(found.recall.share, MIN_RECALL)}; missed: "
        + "; ".join(each.question for each in found.recall.missed),
    ]
    return [Table("Fact base: indexing, searching and finding", _COLUMNS, [row], notes)]


async def _measure(root: Path, num_documents: int) -> Found:
    folder = root / "facts"
    await asyncio.to_thread(_fill, folder, num_documents)
    bases = FactBases(root, root / "data", Metrics())
    with closing(bases):
        begun = time.perf_counter()
        await bases.refresh([_PERSONALITY])
        seconds = time.perf_counter() - begun
        searches = await _search(bases)
    num_passages, recall = await asyncio.to_thread(_recall, index_path(root / "data", folder))
    megabytes = await asyncio.to_thread(_megabytes, folder)
    return Found(num_passages, megabytes, seconds, recall, searches)


def _fill(folder: Path, num_documents: int) -> None:
    copytree(DOCUMENTS, folder)
    for number, text in enumerate(distractors(num_documents, NUM_WORDS)):
        path = folder / f"{number // 1000}" / f"{number}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def _megabytes(folder: Path) -> float:
    files = (Path(above) / name for above, _, names in os.walk(folder) for name in names)
    return sum(each.stat().st_size for each in files) / 1e6


def _recall(index: Path) -> tuple[int, Recall]:
    with closing(IndexReader(index)) as reader:
        return reader.num_passages(), recall_at_5(reader, asked_facts())


async def _search(bases: FactBases) -> list[float]:
    seconds = []
    async with _busy_engine():
        for asked in asked_facts():
            begun = time.perf_counter()
            await bases.search(_PERSONALITY, asked.question, lambda _: None)
            seconds.append(time.perf_counter() - begun)
    return seconds


@asynccontextmanager
async def _busy_engine() -> AsyncIterator[None]:
    """Inside, the replies are under way, and none ends."""
    model = await asyncio.to_thread(EndlessModel, options(max_running=NUM_REPLIES))
    service = InferenceService(
        model, Metrics(), max_running=NUM_REPLIES, max_waiting=NUM_REPLIES, loop_guard=False
    )
    async with service as engine:
        streams = [await engine.generate(_request(number)) for number in range(NUM_REPLIES)]
        readers = [asyncio.create_task(_read(each)) for each in streams]
        while engine.num_running < NUM_REPLIES:  # noqa: ASYNC110 - its worker is waited for
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*readers)


def _request(number: int) -> GenerationRequest:
    question = ChatMessage("user", f"Write a story about {filler(number, 30)}")
    return GenerationRequest(messages=(question,), person=f"person {number}", max_tokens=1_500)


async def _read(stream: GenerationStream) -> None:
    async for _ in stream:
        pass


if __name__ == "__main__":
    command.run(measure)
