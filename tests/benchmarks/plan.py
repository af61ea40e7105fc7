"""A plan of eight steps: worked out at once, and one after another by the same engine."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, replace

from bot.answer_formats import OneOf
from bot.clock import SystemClock
from bot.generation import BANNED, ChatMessage, Finished, GenerationRequest, Sampling
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.model_files import locate
from bot.metrics import Metrics
from bot.ports import EngineGeneration
from bot.strategies.answering import Answering
from bot.types import Personality
from tests.benchmarks import command, endless
from tests.benchmarks.figures import Row, Table, at_most

EXPECTED = 0.5
STEPS = (
    *("Say who it is for", "List what is needed", "Describe the first day", "Name the risks"),
    *("Compare the prices", "Explain the rules", "Tell how to get there", "Suggest what to read"),
)
_NUM_PAIRS, _NUM_TOKENS = 7, 64
_PLANNER = Personality("planner", "Planner", "", strategy="plan")
_SYSTEM = "You advise people who plan a journey: calmly, in full sentences, without lists. "
_QUESTION = "{}. We are five friends and want to walk across the Alps in June. What do we need?"
_COLUMNS = ("what", "at once", "one after another", "ratio", "lowest", "highest", "expected")


class Planned:
    """The engine, which makes this plan of all plans; ``planned_at``: when it had.

    ``one_by_one``: it is asked for a step when the one before it has ended.
    """

    def __init__(self, engine: InferenceService, *, one_by_one: bool) -> None:
        self.name, self.window = engine.name, engine.window
        self.count, self.forget = engine.count, engine.forget
        self.planned_at = 0.0
        self._engine = engine
        self._one_by_one = one_by_one
        self._ended = asyncio.Event()
        self._ended.set()

    async def generate(self, request: GenerationRequest) -> EngineGeneration:
        if request.answer_format is not None:
            only = OneOf((json.dumps({"steps": STEPS}),))
            stream = await self._engine.generate(replace(request, answer_format=only))
            stream.when_finished(self._note_plan)
            return stream
        if self._one_by_one:
            await self._ended.wait()
            self._ended.clear()
        stream = await self._engine.generate(request)
        stream.when_finished(lambda _: self._ended.set())
        return stream

    def _note_plan(self, _: Finished) -> None:
        self.planned_at = time.perf_counter()


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of the steps, and with their plan; ``num_tokens`` were said."""

    steps: float
    whole: float
    num_tokens: int


async def run(
    engine: InferenceService, number: int, bans: Sampling, *, num_tokens: int, one_by_one: bool
) -> Run:
    """The number in the question makes each one new."""
    generator = Planned(engine, one_by_one=one_by_one)
    answering = Answering(generator, Metrics(), SystemClock())
    request = GenerationRequest(
        messages=(ChatMessage("system", _SYSTEM), ChatMessage("user", _QUESTION.format(number))),
        person="ada",
        sampling=bans,
        max_tokens=len(STEPS) * num_tokens,
        loop_guard=False,
    )
    begun_at = time.perf_counter()
    last = None
    async for event in await answering.generate(request, _PLANNER):
        last = event
    ended_at = time.perf_counter()
    if not isinstance(last, Finished):
        raise RuntimeError("the reply has no end")
    return Run(ended_at - generator.planned_at, ended_at - begun_at, last.usage.completion_tokens)


def without_end(model: LlamaModel) -> Sampling:
    """No step ends before its cap, so that both sides say as much."""
    ends = [token for token in range(model.num_tokens) if model.is_end(token)]
    return Sampling(temperature=0.8, seed=7, logit_bias=tuple((token, BANNED) for token in ends))


async def measure(quick: bool) -> list[Table]:
    chosen = endless.options(max_running=len(STEPS))
    path = locate.locate(locate.EMBEDDED)
    model = await asyncio.to_thread(LlamaModel, path, chosen)
    bans, num_tokens = without_end(model), 8 if quick else _NUM_TOKENS
    service = InferenceService(
        model, Metrics(), max_running=len(STEPS), max_waiting=len(STEPS), loop_guard=False
    )
    pairs = []
    async with service as engine:
        for number in range(1 if quick else _NUM_PAIRS):
            sides = (False, True) if number % 2 else (True, False)
            found = {
                one_by_one: await run(
                    engine,
                    1000 + 2 * number + one_by_one,
                    bans,
                    num_tokens=num_tokens,
                    one_by_one=one_by_one,
                )
                for one_by_one in sides
            }
            pairs.append((found[False], found[True]))
    said = sorted({each.num_tokens for pair in pairs for each in pair})
    failures = [] if len(said) == 1 else [f"they said different numbers of tokens: {said}"]
    rows = [
        _row(f"{len(STEPS)} steps of {num_tokens} tokens", [(a.steps, b.steps) for a, b in pairs]),
        _row("with the plan before them", [(a.whole, b.whole) for a, b in pairs], is_bound=False),
    ]
    notes = (
        f"seconds, medians of {len(pairs)} pairs in alternation; the ratio is theirs, too",
        "the same engine and code; one after another, a step is asked when that before has ended",
    )
    return [Table("The steps of a plan", _COLUMNS, rows, notes, failures)]


def _row(what: str, pairs: list[tuple[float, float]], *, is_bound: bool = True) -> Row:
    ratios = [at_once / in_turn for at_once, in_turn in pairs]
    median = statistics.median(ratios)
    return (
        what,
        *(f"{statistics.median(side):.2f}" for side in zip(*pairs, strict=True)),
        *(f"{each:.2f}" for each in (median, min(ratios), max(ratios))),
        at_most(median, EXPECTED) if is_bound else "",
    )


if __name__ == "__main__":
    command.run(measure)
