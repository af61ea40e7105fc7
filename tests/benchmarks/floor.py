"""What the engine costs: its decoding against the best bare ``llama_decode`` loop, slice by slice.

Best of four: flash attention or not, one pool or a stream a sequence.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bot.generation import GenerationRequest, RawPrompt, Sampling
from bot.inference.engine.offloading import OffloadOptions
from bot.inference.engine.service import InferenceService
from bot.inference.llama.options import LlamaOptions
from bot.metrics import Metrics
from bot.ports import Generation
from tests.benchmarks import command
from tests.benchmarks.bare import HEAD_START, Slice, layout_of, layouts
from tests.benchmarks.bare_process import BareProcess
from tests.benchmarks.chat_load import filler
from tests.benchmarks.endless import EndlessModel, StepNote, options
from tests.benchmarks.figures import Table, at_least, milliseconds

SIZES, DEPTHS = (1, 8, 16), (16, 1_000)
NUM_CELLS = 32_768
EXPECTED = 0.95
NUM_ROUNDS, SLICE_SECONDS, SHORT_SECONDS = 7, 1.2, 0.7
CLOSE = 0.75
"""Layouts with less of the best one's speed in a short slice are not measured further."""
_OFFLOAD = OffloadOptions(max_memory=1 << 30)
"""For the threads of a contest, so that their prompts are read only once."""
_SETTLE_SECONDS = 0.01
_COLUMNS = (
    "depth",
    "replies",
    "bare loop",
    "bare tokens/s",
    "engine tokens/s",
    "bare ms/step",
    "engine ms/step",
    "ratio",
    "lowest",
    "highest",
    "expected",
)


@dataclass(frozen=True, slots=True)
class Pair:
    bare: Slice
    engine: Slice

    @property
    def ratio(self) -> float:
        return self.engine.tokens_per_second / self.bare.tokens_per_second


@dataclass(frozen=True, slots=True)
class Found:
    """``short``: a slice of every layout, of which those that came close have as many as the
    engine in ``bare``.
    """

    short: dict[LlamaOptions, Slice]
    engine: list[Slice] = field(default_factory=list)
    bare: dict[LlamaOptions, list[Slice]] = field(default_factory=dict)

    @property
    def close(self) -> list[LlamaOptions]:
        least = CLOSE * max(each.tokens_per_second for each in self.short.values())
        return [each for each in self.short if self.short[each].tokens_per_second >= least]

    @property
    def best(self) -> LlamaOptions:
        return min(self.bare, key=lambda each: step_seconds(self.bare[each]))

    @property
    def pairs(self) -> list[Pair]:
        """With the best loop."""
        both = zip(self.bare[self.best], self.engine, strict=True)
        return [Pair(bare, engine) for bare, engine in both]


@dataclass(frozen=True, slots=True)
class Contestants:
    """Both sides with contexts of their own on one model file."""

    bare: BareProcess
    model: EndlessModel
    engine: InferenceService


class Contest:
    """So many replies from one depth on. The engine keeps the prompts that it has read."""

    def __init__(self, sides: Contestants, num_sequences: int, depth: int) -> None:
        self._sides, self._num, self._depth = sides, num_sequences, depth
        self._samplings = [Sampling(seed=number) for number in range(num_sequences)]
        self._prompts = [self._prompt(number) for number in range(num_sequences)]

    def _prompt(self, number: int) -> list[int]:
        words = RawPrompt(filler(number, 2 * self._depth))
        return self._sides.model.encode_raw(words)[: self._depth]

    async def held(
        self, candidates: Sequence[LlamaOptions], num_rounds: int, seconds: float
    ) -> Found:
        """Who goes first alternates, so that neither always finds the caches of the other."""
        found = Found(await self._short(candidates, min(seconds, SHORT_SECONDS)))
        found.bare.update({candidate: [] for candidate in found.close})
        await self._engine_slice(0.0)  # reads the prompts
        for number in range(num_rounds):
            if number % 2:
                found.engine.append(await self._engine_slice(seconds))
            for candidate, slices in found.bare.items():
                slices.append(await self._bare_slice(candidate, seconds))
            if not number % 2:
                found.engine.append(await self._engine_slice(seconds))
        await self._sides.bare.keep([])
        return found

    async def _short(
        self, candidates: Sequence[LlamaOptions], seconds: float
    ) -> dict[LlamaOptions, Slice]:
        """One context at a time: together they would take gigabytes."""
        found = {}
        for candidate in candidates:
            found[candidate] = await self._bare_slice(candidate, seconds)
            await self._sides.bare.keep([])
        return found

    async def _bare_slice(self, candidate: LlamaOptions, seconds: float) -> Slice:
        return await self._sides.bare.time(candidate, self._prompts[0], self._samplings, seconds)

    async def _engine_slice(self, seconds: float) -> Slice:
        """Timed from the end of a step to the end of a step; read as a person would."""
        model, engine = self._sides.model, self._sides.engine
        model.steps.clear()
        generations = [await engine.generate(request) for request in self._requests()]
        readers = [asyncio.create_task(_read(generation)) for generation in generations]
        while not self._has_head_start():  # noqa: ASYNC110 - the worker is waited for
            await asyncio.sleep(_SETTLE_SECONDS)
        first = len(model.steps) - 1
        await asyncio.sleep(seconds)
        while len(model.steps) < first + 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_SETTLE_SECONDS)
        timed = model.steps[first:]
        for generation in generations:
            generation.cancel()
        await asyncio.gather(*readers)
        while engine.num_running or model.is_computing:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_SETTLE_SECONDS)
        return self._slice_of(timed)

    def _requests(self) -> list[GenerationRequest]:
        return [
            GenerationRequest(
                raw=RawPrompt(tuple(prompt)),
                person=f"person {number}",
                thread=f"thread {number}",
                sampling=sampling,
                max_tokens=self._sides.engine.window,
            )
            for number, (prompt, sampling) in enumerate(
                zip(self._prompts, self._samplings, strict=True)
            )
        ]

    def _has_head_start(self) -> bool:
        steps = self._sides.model.steps
        is_ahead = sum(note.num_sampled for note in steps) >= HEAD_START * self._num
        return is_ahead and steps[-1].num_sampled == self._num

    def _slice_of(self, steps: Sequence[StepNote]) -> Slice:
        if any(note.num_sampled != self._num for note in steps):
            raise RuntimeError("a reply ended or was pre-empted while it was timed")
        return Slice(self._num, len(steps) - 1, steps[-1].ended_at - steps[0].ended_at)


@asynccontextmanager
async def contestants(chosen: LlamaOptions) -> AsyncIterator[Contestants]:
    model = await asyncio.to_thread(EndlessModel, chosen, reuses=True)
    service = InferenceService(
        model,
        Metrics(),
        max_running=chosen.max_running,
        max_waiting=chosen.max_running,
        offloading=_OFFLOAD,
        loop_guard=False,
    )
    bare = BareProcess()
    try:
        async with service as engine:
            yield Contestants(bare, model, engine)
    finally:
        bare.close()


async def measure(quick: bool) -> list[Table]:
    num_rounds, seconds = (2, 0.5) if quick else (NUM_ROUNDS, SLICE_SECONDS)
    chosen = options(max_running=max(SIZES), num_cells=NUM_CELLS)
    candidates = layouts(chosen)
    found: dict[tuple[int, int], Found] = {}
    for depth in DEPTHS[:1] if quick else DEPTHS:
        async with contestants(chosen) as sides:
            for size in SIZES:
                contest = Contest(sides, size, depth)
                found[depth, size] = await contest.held(candidates, num_rounds, seconds)
    notes = [
        f"medians of {num_rounds} pairs of slices of {seconds:g} s; the ratio is theirs, too",
        f"the engine: {layout_of(chosen)}",
    ]
    names = [layout_of(candidate) for candidate in candidates]
    return [
        Table(
            "Engine against the best bare llama_decode loop, decoding only",
            _COLUMNS,
            [_row(*key, each) for key, each in found.items()],
            notes,
        ),
        Table(
            "Bare llama_decode loops, tokens/s in a short slice of each",
            ("depth", "replies", *names),
            [_short_row(*key, each) for key, each in found.items()],
        ),
    ]


def step_seconds(slices: Sequence[Slice]) -> float:
    return statistics.median(each.step_seconds for each in slices)


def _row(depth: int, size: int, found: Found) -> tuple[str, ...]:
    bare, engine = step_seconds(found.bare[found.best]), step_seconds(found.engine)
    ratios = [pair.ratio for pair in found.pairs]
    ratio = statistics.median(ratios)
    return (
        f"{depth:,}",
        str(size),
        layout_of(found.best),
        f"{size / bare:.0f}",
        f"{size / engine:.0f}",
        milliseconds(bare),
        milliseconds(engine),
        f"{ratio:.3f}",
        f"{min(ratios):.3f}",
        f"{max(ratios):.3f}",
        at_least(ratio, EXPECTED),
    )


def _short_row(depth: int, size: int, found: Found) -> tuple[str, ...]:
    speeds = (f"{each.tokens_per_second:.0f}" for each in found.short.values())
    return (f"{depth:,}", str(size), *speeds)


async def _read(generation: Generation) -> None:
    async for _ in generation:
        pass


if __name__ == "__main__":
    command.run(measure)
