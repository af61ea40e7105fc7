"""Prompt lookup: a reply that repeats its prompt, and prose, with drafts and without."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.generation import ChatMessage, GenerationRequest, Sampling
from bot.inference.core.sequence import Opening, Step
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.llama.tuning import CPU_DEFAULT
from bot.inference.model_files import locate
from bot.metrics import Metrics
from tests.benchmarks import command, endless
from tests.benchmarks.figures import Row, Table, at_least
from tests.bot.inference.replies.asked import ASKED

REWRITING, PROSE = "code rewritten with three changes", "free prose"
EXPECTED = {REWRITING: 1.8, PROSE: 0.98}
NUM_PAIRS = {REWRITING: 7, PROSE: 16}
NUM_TOKENS = 600
_PROSE_TOKENS, _TEMPERATURE = 200, 0.8
CODE = Path(__file__).with_name("figures.py")
CHANGES = (
    ("Row = tuple", "Cells = tuple"),
    ("``notes`` say", "``remarks`` tell"),
    ("*self.rows", "*self.all_rows"),
)
"""A good model would make them; to the embedded one, which cannot, they are dictated."""
_COLUMNS = (
    *("reply", "tokens/s without", "tokens/s with", "ratio", "lowest", "highest"),
    *("tokens a step", "drafted", "accepted", "expected"),
)


class DictatedModel(LlamaModel):
    """The real model, whose samples are replaced by ``dictation``, if there is one.

    ``steps``: when each ended, and how many tokens it added to the only reply.
    """

    def __init__(self, options: LlamaOptions) -> None:
        super().__init__(locate.locate(locate.EMBEDDED), options)
        self.steps: list[tuple[float, int]] = []
        self.dictation: list[int] = []
        self._num_said = 0
        self._sample = self._samplers.sample
        self._samplers.sample = self._dictate  # type: ignore[method-assign]

    def run(self, step: Step) -> dict[int, list[int]]:
        if any(isinstance(action, Opening) for action in step.actions):
            self._num_said = 0
        sampled = super().run(step)
        if sampled:
            self.steps.append((time.perf_counter(), sum(map(len, sampled.values()))))
        return sampled

    def _dictate(self, context: Any, slot: int, index: int) -> list[int]:
        sampled = self._sample(context, slot, index)
        if not self.dictation:
            return sampled
        self._num_said += 1
        return self.dictation[self._num_said - 1 : self._num_said]


@dataclass(frozen=True, slots=True)
class Side:
    """An engine alone with its model, with drafts or without."""

    model: DictatedModel
    engine: InferenceService
    metrics: Metrics

    async def speed(self, request: GenerationRequest, dictation: str = "") -> float:
        """Tokens a second, from the end of the step with the first token to the last step's."""
        self.model.dictation = self.model.vocabulary.tokenize(dictation)[: request.max_tokens]
        if dictation:
            request = replace(request, max_tokens=len(self.model.dictation))
        self.model.steps.clear()
        async for _ in await self.engine.generate(request):
            pass
        (begun_at, _), *steps = self.model.steps
        return sum(num for _, num in steps) / (steps[-1][0] - begun_at)

    def num_drafted(self, outcome: str) -> int:
        found = self.metrics.registry.get_sample_value
        return int(
            found("parley_draft_tokens_total", {"source": "lookup", "outcome": outcome}) or 0
        )


@dataclass
class Found:
    """``pairs``: tokens a second without drafts and with them, of the same question."""

    pairs: list[tuple[float, float]] = field(default_factory=list)
    num_steps: int = 0
    num_tokens: int = 0
    num_accepted: int = 0
    num_rejected: int = 0

    @property
    def ratios(self) -> list[float]:
        return [speculating / plain for plain, speculating in self.pairs]


class Contest:
    """Both sides write the same, one after the other; who goes first alternates."""

    def __init__(self, plain: Side, speculating: Side) -> None:
        self._plain, self._speculating = plain, speculating

    async def pairs(
        self, num_pairs: int, request_of: Callable[[int], GenerationRequest], dictation: str = ""
    ) -> Found:
        found, side = Found(), self._speculating
        before = side.num_drafted("accepted"), side.num_drafted("rejected")
        for number in range(num_pairs):
            sides = (self._plain, side) if number % 2 else (side, self._plain)
            request = request_of(number)
            speeds = {id(each): await each.speed(request, dictation) for each in sides}
            found.pairs.append((speeds[id(self._plain)], speeds[id(side)]))
            found.num_steps += len(side.model.steps)
            found.num_tokens += sum(num for _, num in side.model.steps)
        found.num_accepted = side.num_drafted("accepted") - before[0]
        found.num_rejected = side.num_drafted("rejected") - before[1]
        return found

    async def rewriting(self, num_pairs: int, code: str) -> Found:
        """The number in the question makes each one new."""
        changed = code
        for old, new in CHANGES:
            changed = changed.replace(old, new, 1)

        def request_of(number: int) -> GenerationRequest:
            return _request(f"{number}. Rewrite this code:\n\n{code}", number, NUM_TOKENS)

        return await self.pairs(num_pairs, request_of, changed)

    async def prose(self, num_pairs: int) -> Found:
        """What the model says by itself to recorded questions."""
        return await self.pairs(
            num_pairs, lambda number: _request(ASKED[number][0], number, _PROSE_TOKENS)
        )


def _request(text: str, seed: int, max_tokens: int) -> GenerationRequest:
    return GenerationRequest(
        messages=(ChatMessage("user", text),),
        person="ada",
        sampling=Sampling(temperature=_TEMPERATURE, seed=seed),
        max_tokens=max_tokens,
    )


@asynccontextmanager
async def contest(chosen: LlamaOptions) -> AsyncIterator[Contest]:
    async with (
        _side(chosen, speculates=False) as plain,
        _side(chosen, speculates=True) as speculating,
    ):
        yield Contest(plain, speculating)


@asynccontextmanager
async def _side(chosen: LlamaOptions, *, speculates: bool) -> AsyncIterator[Side]:
    model, metrics = await asyncio.to_thread(DictatedModel, chosen), Metrics()
    service = InferenceService(
        model,
        metrics,
        max_running=chosen.max_running,
        max_waiting=chosen.max_running,
        loop_guard=False,
        speculates=speculates,
    )
    async with service as engine:
        yield Side(model, engine, metrics)


def options() -> LlamaOptions:
    attention, kv_layout = CPU_DEFAULT
    usual = endless.options(max_running=16)
    return replace(usual, attention=attention, kv_layout=kv_layout)


async def measure(quick: bool) -> list[Table]:
    num_pairs = dict.fromkeys(EXPECTED, 2) if quick else NUM_PAIRS
    async with contest(options()) as both:
        found = {
            REWRITING: await both.rewriting(num_pairs[REWRITING], CODE.read_text("utf-8")),
            PROSE: await both.prose(num_pairs[PROSE]),
        }
    rows = [_row(name, each) for name, each in found.items()]
    notes = (
        "one reply at a time; medians of pairs, the ratio is theirs, too",
        f"{CPU_DEFAULT[0]} attention, {CPU_DEFAULT[1]}; prose at temperature {_TEMPERATURE}",
    )
    failures = [] if found[REWRITING].num_accepted else ["no draft was accepted"]
    return [Table("Prompt lookup", _COLUMNS, rows, notes, failures)]


def _row(name: str, found: Found) -> Row:
    ratios: Sequence[float] = found.ratios
    num_drafted = found.num_accepted + found.num_rejected
    return (
        name,
        *(f"{statistics.median(side):.0f}" for side in zip(*found.pairs, strict=True)),
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f}",
        f"{max(ratios):.2f}",
        f"{found.num_tokens / found.num_steps:.2f}",
        f"{num_drafted / found.num_tokens:.0%}",
        f"{found.num_accepted / max(1, num_drafted):.0%}",
        at_least(statistics.median(ratios), EXPECTED[name]),
    )


if __name__ == "__main__":
    command.run(measure)
