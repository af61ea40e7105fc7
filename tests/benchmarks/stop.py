"""How many engine steps a stopped reply keeps its place: half of 32 are stopped at random."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.generation import ChatMessage, GenerationRequest
from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from bot.stream import GenerationStream
from tests.benchmarks import command, counters
from tests.benchmarks.chat_load import filler
from tests.benchmarks.endless import EndlessModel, StepNote, options
from tests.benchmarks.figures import Table, at_most, milliseconds, percentile

NUM_REPLIES, NUM_STOPPED = 32, 16
NUM_STORMS, STORM_SECONDS = 4, 8.0
MAX_STEPS = 2
_PROMPT_WORDS = 60
_POLL_SECONDS = 0.01
_COUNTERS = (counters.CANCELLED,)
_COLUMNS = ("stops", "steps p50", "p99", "max", "ms p50", "ms p99", "expected")


@dataclass(frozen=True, slots=True)
class Stop:
    """``num_ended``: steps that had ended at that moment ``at`` (``time.perf_counter``)."""

    num_ended: int
    at: float


@dataclass(frozen=True, slots=True)
class Freed:
    """From the stop to the end of the step that freed the place, that step included."""

    steps: int
    seconds: float


async def measure(quick: bool) -> list[Table]:
    num_storms, seconds = (1, 2.0) if quick else (NUM_STORMS, STORM_SECONDS)
    model = await asyncio.to_thread(EndlessModel, options(max_running=NUM_REPLIES))
    metrics = Metrics()
    service = InferenceService(
        model, metrics, max_running=NUM_REPLIES, max_waiting=NUM_REPLIES, loop_guard=False
    )
    async with service as engine:
        found = [
            freed
            for seed in range(num_storms)
            for freed in await _storm(model, engine, seconds, random.Random(seed))  # noqa: S311
        ]
    title = f"Stop storm: {NUM_STOPPED} of {NUM_REPLIES} replies stopped at random moments"
    note = "steps from the one under way to the one that frees; who had no place is not counted"
    counted = counters.parse(metrics.expose().decode())
    notes, failures = (
        [note, counters.told(counted, _COUNTERS)],
        counters.unmoved(counted, _COUNTERS),
    )
    return [Table(title, _COLUMNS, [_row(found)], notes, failures)]


async def _storm(
    model: EndlessModel, engine: InferenceService, seconds: float, chooser: random.Random
) -> list[Freed]:
    """Everybody asks at once, so some are stopped while their prompt is read, or before."""
    model.steps.clear()
    streams = [await engine.generate(_request(number)) for number in range(NUM_REPLIES)]
    readers = [asyncio.create_task(_read(stream)) for stream in streams]
    while engine.num_running < NUM_STOPPED:  # noqa: ASYNC110 - the engine's worker is waited for
        await asyncio.sleep(_POLL_SECONDS)
    moments = sorted(chooser.uniform(0, seconds) for _ in range(NUM_STOPPED))
    stops, begun = [], time.perf_counter()
    for stream, moment in zip(chooser.sample(streams, NUM_STOPPED), moments, strict=True):
        await asyncio.sleep(begun + moment - time.perf_counter())
        stops += _stop(stream, model, engine)
    others = [stream for stream in streams if not stream.is_finished]
    num_stops = len(stops)
    for stream in others:
        stream.cancel()
    await asyncio.gather(*readers)
    await model.until_released()
    return freed_places(stops, model.steps)[:num_stops]


def _stop(stream: GenerationStream, model: EndlessModel, engine: InferenceService) -> list[Stop]:
    """Nothing for one that had no place yet: there is none to be freed."""
    num_running, num_ended, at = engine.num_running, len(model.steps), time.perf_counter()
    stream.cancel()
    return [Stop(num_ended, at)] if engine.num_running < num_running else []


def freed_places(stops: Sequence[Stop], steps: Sequence[StepNote]) -> list[Freed]:
    """Replies end by a stop only, and places are freed in the order of the stops."""
    frees = [number for number, note in enumerate(steps) for _ in range(note.num_released)]
    return [
        Freed(number + 1 - stop.num_ended, steps[number].ended_at - stop.at)
        for stop, number in zip(stops, frees, strict=False)
    ]


def _request(number: int) -> GenerationRequest:
    question = ChatMessage("user", f"Write a story about {filler(number, _PROMPT_WORDS)}")
    return GenerationRequest(messages=(question,), person=f"person {number}", max_tokens=2_000)


def _row(found: Sequence[Freed]) -> tuple[str, ...]:
    steps, seconds = [freed.steps for freed in found], [freed.seconds for freed in found]
    p99 = percentile(steps, 0.99)
    return (
        str(len(found)),
        f"{percentile(steps, 0.5):.0f}",
        f"{p99:.0f}",
        str(max(steps, default=0)),
        milliseconds(percentile(seconds, 0.5)),
        milliseconds(percentile(seconds, 0.99)),
        at_most(p99, MAX_STEPS),
    )


async def _read(stream: GenerationStream) -> None:
    async for _ in stream:
        pass


if __name__ == "__main__":
    command.run(measure)
