"""Quoted answers over random corpora: is every quotation in its source, and how fast are they?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median

from bot.citations import with_sources
from bot.generation import ChatMessage, Delta, Finished, GenerationRequest
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import Attention, KVLayout, LlamaOptions
from bot.inference.model_files import locate
from bot.metrics import Metrics
from bot.ports import EngineGeneration
from bot.prompt import clean, opening
from bot.quoted_answers import refusal_of
from bot.strategies.quoted import QuotedAnswers
from bot.types import Personality
from tests import quotations
from tests.benchmarks import command
from tests.benchmarks.figures import Row, Table
from tests.quotations import Corpus

NUM_CORPORA, NUM_QUICK, AT_ONCE = 1_000, 8, 8
MAX_TOKENS, NUM_TIMED, MAX_FREE = 256, 24, 64
HOUSE = Personality(
    "house", "House", "You answer questions about a house.", facts="handbook", answers="quoted"
)
_OUTCOMES = ("quoted", "refused", "empty")
_COLUMNS = ("asked about", "questions", "quoted", "refused", "not asked", "quotations", "wrong")
_SPEEDS = ("free text", "free text, lookup", "quoted", "quoted, lookup")


@dataclass(slots=True)
class Found:
    """``faults``: what an answer says that does not stand in its source."""

    metrics: Metrics
    num_answers: int = 0
    num_quotations: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, reply: str, asked: Corpus) -> None:
        self.num_answers += 1
        self.num_quotations += sum(line.startswith("> ") for line in reply.split("\n"))
        self.faults += quotations.faults(reply, asked.sources, refusal_of(HOUSE))

    def count(self, outcome: str) -> int:
        name, labels = "parley_quoted_answers_total", {"outcome": outcome}
        return int(self.metrics.registry.get_sample_value(name, labels) or 0)

    def row(self, name: str) -> Row:
        outcomes = (f"{self.count(each) / self.num_answers:.1%}" for each in _OUTCOMES)
        counts = (f"{self.num_quotations:,}", str(len(self.faults)))
        return (name, f"{self.num_answers:,}", *outcomes, *counts)


async def measure(quick: bool) -> list[Table]:
    num_corpora, num_timed = (NUM_QUICK, 2) if quick else (NUM_CORPORA, NUM_TIMED)
    corpora = [quotations.corpus(seed) for seed in range(num_corpora)]
    return [await _truth(corpora), await _speed([c for c in corpora if c.can_answer][:num_timed])]


async def _truth(corpora: Sequence[Corpus]) -> Table:
    rows, faults = [], list[str]()
    async with engine_of(AT_ONCE) as engine:
        begun = time.perf_counter()
        for name, can_answer in (("what one passage says", True), ("something else", False)):
            found = await ask_all(engine, [c for c in corpora if c.can_answer is can_answer])
            faults += found.faults
            rows.append(found.row(name))
        seconds = time.perf_counter() - begun
    notes = (
        f"{AT_ONCE} at once, in process, {seconds:.0f} s",
        "refused by the model; not asked: nothing of the question stands in a passage",
        "wrong: what does not stand in the source that is named, by a judge of its own",
    )
    title = f"Quoted answers over {len(corpora):,} random corpora"
    return Table(title, _COLUMNS, rows, notes, faults)


async def _speed(corpora: Sequence[Corpus]) -> Table:
    """The prompts are evaluated before; alone, one after the other."""
    found: dict[str, list[float]] = {name: [] for name in _SPEEDS}
    async with engine_of(1) as plain, engine_of(1, speculates=True) as speculating:
        for number, asked in enumerate(corpora):
            for engine, note in ((plain, ""), (speculating, ", lookup")):
                request = replace(request_of(asked, "ada"), thread=f"{number}")
                await text_of(await engine.generate(replace(request, max_tokens=1)))
                free = await engine.generate(replace(request, max_tokens=MAX_FREE))
                found[f"free text{note}"].append(await _tokens_a_second(free))
                quoted = QuotedAnswers(engine, Metrics())
                answer = await quoted.generate(request, HOUSE, asked.sources)
                found[f"quoted{note}"].append(await _tokens_a_second(answer))
    rows = [(name, f"{median(speeds):.0f}") for name, speeds in found.items()]
    note = f"medians of {len(corpora)} answers, from the question to their end, prompts known"
    return Table("Quoted answers beside free text", ("answers", "tokens/s"), rows, [note])


async def _tokens_a_second(generation: EngineGeneration) -> float:
    begun = time.perf_counter()
    last = [event async for event in generation][-1]
    seconds = time.perf_counter() - begun
    return last.usage.completion_tokens / seconds if isinstance(last, Finished) else 0.0


@asynccontextmanager
async def engine_of(
    max_running: int, num_threads: int = 0, *, speculates: bool = False
) -> AsyncIterator[InferenceService]:
    options = LlamaOptions(
        num_cells=2_048 * max_running,
        max_running=max_running,
        num_threads=num_threads,
        attention=Attention.PLAIN,
        kv_layout=KVLayout.STREAMS,
    )
    model = await asyncio.to_thread(lambda: LlamaModel(locate.locate(locate.EMBEDDED), options))
    async with InferenceService(
        model,
        Metrics(),
        max_running=max_running,
        max_waiting=AT_ONCE,
        speculates=speculates,
    ) as engine:
        yield engine


async def ask_all(engine: InferenceService, corpora: Sequence[Corpus]) -> Found:
    metrics, room = Metrics(), asyncio.Semaphore(AT_ONCE)
    quoted, found = QuotedAnswers(engine, metrics), Found(metrics)

    async def ask(number: int, asked: Corpus) -> None:
        async with room:
            request = request_of(asked, f"person {number}")
            reply = await text_of(await quoted.generate(request, HOUSE, asked.sources))
            found.add(reply, asked)

    await asyncio.gather(*(ask(number, each) for number, each in enumerate(corpora)))
    return found


def request_of(asked: Corpus, person: str) -> GenerationRequest:
    question = ChatMessage("user", clean(with_sources(asked.question, asked.sources)))
    messages = (*opening(HOUSE), question)
    return GenerationRequest(messages=messages, person=person, max_tokens=MAX_TOKENS)


async def text_of(generation: EngineGeneration) -> str:
    return "".join([each.text async for each in generation if isinstance(each, Delta)])


if __name__ == "__main__":
    command.run(measure)
