"""What the engine costs: its decoding against a bare ``llama_decode`` loop, slice by slice."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.generation import ChatMessage, GenerationRequest, Sampling
from bot.inference.engine.service import InferenceService
from bot.inference.llama.options import LlamaOptions
from bot.metrics import Metrics
from bot.ports import Generation
from tests.benchmarks import command
from tests.benchmarks.bare import BareLoop
from tests.benchmarks.chat_load import filler
from tests.benchmarks.endless import EndlessModel, StepNote, options
from tests.benchmarks.figures import Table, at_least, milliseconds

EXPECTED = {1: 0.90, 8: 0.95, 16: 0.95}
NUM_PAIRS, SLICE_SECONDS = 10, 2.0
_PROMPT_WORDS = 20
_HEAD_START = 24
"""Tokens that each sequence says before a slice is timed, so that both begin equally full."""
_SETTLE_SECONDS = 0.01
_COLUMNS = (
    "sequences",
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
class Slice:
    num_sequences: int
    num_steps: int
    seconds: float

    @property
    def step_seconds(self) -> float:
        return self.seconds / self.num_steps

    @property
    def tokens_per_second(self) -> float:
        return self.num_sequences / self.step_seconds


@dataclass(frozen=True, slots=True)
class Pair:
    bare: Slice
    engine: Slice

    @property
    def ratio(self) -> float:
        return self.engine.tokens_per_second / self.bare.tokens_per_second


class Contest:
    """Both sides with a context of their own on one model file, and the same prompts."""

    def __init__(
        self,
        bare: BareLoop,
        model: EndlessModel,
        engine: InferenceService,
        num_sequences: int,
        num_words: int = _PROMPT_WORDS,
    ) -> None:
        self._bare, self._model, self._engine = bare, model, engine
        self._worker = ThreadPoolExecutor(1, "bare-loop")
        self._num = num_sequences
        words = [filler(number, num_words) for number in range(num_sequences)]
        self._questions = [(ChatMessage("user", text),) for text in words]
        self._samplings = [Sampling(seed=number) for number in range(num_sequences)]
        self._prompts = [model.encode(question) for question in self._questions]
        self._num_cells = sum(map(len, self._prompts)) + _HEAD_START * num_sequences

    async def pairs(self, num_pairs: int, seconds: float) -> list[Pair]:
        """Who goes first alternates, so that neither always finds the caches of the other."""
        pairs = []
        for number in range(num_pairs):
            if number % 2:
                engine = await self._engine_slice(seconds)
                pairs.append(Pair(await self._bare_slice(seconds), engine))
            else:
                bare = await self._bare_slice(seconds)
                pairs.append(Pair(bare, await self._engine_slice(seconds)))
        return pairs

    async def _bare_slice(self, seconds: float) -> Slice:
        """In a worker of its own, as the engine has one."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._decode_bare, seconds)

    def _decode_bare(self, seconds: float) -> Slice:
        bare, num_steps = self._bare, 0
        bare.begin(self._prompts, self._samplings)
        while bare.num_cells_used < self._num_cells:
            bare.decode()
        begun = now = time.perf_counter()
        while now - begun < seconds:
            bare.decode()
            num_steps, now = num_steps + 1, time.perf_counter()
        bare.end()
        return Slice(self._num, num_steps, now - begun)

    async def _engine_slice(self, seconds: float) -> Slice:
        """Timed from the end of a step to the end of a step; read as a person would."""
        self._model.steps.clear()
        generations = [await self._engine.generate(request) for request in self._requests()]
        readers = [asyncio.create_task(_read(generation)) for generation in generations]
        while not self._has_head_start():  # noqa: ASYNC110 - the worker is waited for
            await asyncio.sleep(_SETTLE_SECONDS)
        first = len(self._model.steps) - 1
        await asyncio.sleep(seconds)
        timed = self._model.steps[first:]
        for generation in generations:
            generation.cancel()
        await asyncio.gather(*readers)
        await self._model.until_released()
        return self._slice_of(timed)

    def _requests(self) -> list[GenerationRequest]:
        return [
            GenerationRequest(
                messages=question,
                person=f"person {number}",
                sampling=sampling,
                max_tokens=self._engine.window,
            )
            for number, (question, sampling) in enumerate(
                zip(self._questions, self._samplings, strict=True)
            )
        ]

    def _has_head_start(self) -> bool:
        steps = self._model.steps
        is_full = sum(note.num_tokens for note in steps) >= self._num_cells
        return is_full and steps[-1].num_sampled == self._num

    def _slice_of(self, steps: Sequence[StepNote]) -> Slice:
        if any(note.num_sampled != self._num for note in steps):
            raise RuntimeError("a reply ended or was pre-empted while it was timed")
        return Slice(self._num, len(steps) - 1, steps[-1].ended_at - steps[0].ended_at)


@asynccontextmanager
async def contestants(
    chosen: LlamaOptions,
) -> AsyncIterator[tuple[BareLoop, EndlessModel, InferenceService]]:
    model = await asyncio.to_thread(EndlessModel, chosen)
    bare = await asyncio.to_thread(BareLoop, chosen)
    service = InferenceService(
        model,
        Metrics(),
        max_running=chosen.max_running,
        max_waiting=chosen.max_running,
        loop_guard=False,
    )
    try:
        async with service as engine:
            yield bare, model, engine
    finally:
        bare.close()


async def compare(
    sizes: Sequence[int], chosen: LlamaOptions, num_pairs: int, seconds: float
) -> dict[int, list[Pair]]:
    async with contestants(chosen) as sides:
        return {num: await Contest(*sides, num).pairs(num_pairs, seconds) for num in sizes}


async def measure(quick: bool) -> list[Table]:
    num_pairs, seconds = (2, 0.5) if quick else (NUM_PAIRS, SLICE_SECONDS)
    found = await compare(tuple(EXPECTED), options(max_running=16), num_pairs, seconds)
    rows = [_row(num, pairs) for num, pairs in found.items()]
    title = "Engine against a bare llama_decode loop, decoding only"
    note = f"medians of {num_pairs} pairs of slices of {seconds:g} s; the ratio is theirs, too"
    return [Table(title, _COLUMNS, rows, [note])]


def _row(num_sequences: int, pairs: Sequence[Pair]) -> tuple[str, ...]:
    bare = statistics.median(pair.bare.step_seconds for pair in pairs)
    engine = statistics.median(pair.engine.step_seconds for pair in pairs)
    ratios = [pair.ratio for pair in pairs]
    ratio = statistics.median(ratios)
    return (
        str(num_sequences),
        f"{num_sequences / bare:.0f}",
        f"{num_sequences / engine:.0f}",
        milliseconds(bare),
        milliseconds(engine),
        f"{ratio:.3f}",
        f"{min(ratios):.3f}",
        f"{max(ratios):.3f}",
        at_least(ratio, EXPECTED[num_sequences]),
    )


async def _read(generation: Generation) -> None:
    async for _ in generation:
        pass


if __name__ == "__main__":
    command.run(measure)
