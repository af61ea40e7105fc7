"""What whoever runs Parley is told: gathered from the metrics, the book and the usage log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import DataError
from bot.metrics import Metrics
from bot.overview import ModelState, UsageSummary
from bot.personality import PersonalityBook
from bot.running.overview import Overviews, Summarise
from bot.types import AdapterState
from tests.fakes.clock import START, FakeClock

RIGHT = "---\ntitle: Coder\n---\nYou write code.\n"
UP = AdapterState("slack", "up")


async def sound() -> Mapping[str, str]:
    return {"status": "up", "detail": ""}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def nothing(since: datetime) -> UsageSummary:
    return UsageSummary()


def overviews(
    metrics: Metrics, clock: FakeClock, folder: Path, summarise: Summarise = nothing
) -> Overviews:
    return Overviews(
        metrics,
        clock,
        folder,
        model=lambda: ModelState(name="smollm2", status="up", device="CPU"),
        database=sound,
        adapters=lambda: [UP],
        summarise=summarise,
    )


async def test_figures_are_those_of_the_metrics(
    metrics: Metrics, clock: FakeClock, tmp_path: Path
) -> None:
    metrics.running_sequences.set(3)
    metrics.queue_length.set(7)
    metrics.chat_watches.set(5)
    shares = [metrics.share(), metrics.share()]
    for share in shares:
        share.resident_threads.set(2)
        share.parked_bytes.labels("memory").set(1_000)
    shares[0].parked_bytes.labels("disk").set(9_000)
    found = await overviews(metrics, clock, tmp_path).read()
    assert (found.running, found.waiting, found.watching, found.resident_threads) == (3, 7, 5, 4)
    assert (found.memory.parked_memory, found.memory.parked_disk) == (2_000, 9_000)
    assert found.memory.free_disk
    assert (found.started_at, found.adapters) == (START, (UP,))


async def test_the_speed_is_that_of_what_was_written_in_the_time(
    metrics: Metrics, clock: FakeClock, tmp_path: Path
) -> None:
    all_of_it = overviews(metrics, clock, tmp_path)
    measuring = asyncio.create_task(all_of_it.throughput.measure())
    await clock.advance(0)
    assert (await all_of_it.read()).speed.now == 0
    for _ in range(60):
        metrics.completion_tokens.inc(20)
        await clock.advance(2)
    speed = (await all_of_it.read()).speed
    assert (speed.now, speed.minute, speed.quarter_hour) == (10, 10, 10)
    await clock.advance(30)
    speed = (await all_of_it.read()).speed
    assert (speed.now, speed.minute, speed.quarter_hour) == (0, 5, 8)
    measuring.cancel()


async def test_faults_are_told_with_file_line_and_since_when(
    metrics: Metrics, clock: FakeClock, tmp_path: Path
) -> None:
    file = tmp_path / "coder.md"
    file.write_text(RIGHT)
    book = await asyncio.to_thread(PersonalityBook.load, tmp_path, "coder")
    all_of_it = overviews(metrics, clock, tmp_path)
    assert (await all_of_it.read()).personalities == ()
    all_of_it.watch(book)
    file.write_text(RIGHT.replace("title:", "titel:"))
    await book.refresh(START)
    await clock.advance(60)
    found = await all_of_it.read()
    assert found.personalities == ("coder",)
    assert {(each.file, each.line, each.since) for each in found.faults} >= {("coder.md", 2, START)}
    assert "titel" in found.faults[0].sentence + found.faults[-1].sentence


async def test_the_log_is_counted_for_a_day_and_a_week_and_seldom(
    metrics: Metrics, clock: FakeClock, tmp_path: Path
) -> None:
    asked: list[timedelta] = []

    def summarise(since: datetime) -> UsageSummary:
        asked.append(clock.now() - since)
        return UsageSummary()

    all_of_it = overviews(metrics, clock, tmp_path, summarise)
    await asyncio.gather(all_of_it.read(), all_of_it.read())
    await clock.advance(1)
    await all_of_it.read()
    assert asked == [timedelta(days=1), timedelta(days=7)]
    await clock.advance(1)
    await all_of_it.read()
    assert len(asked) == 4


async def test_a_log_that_cannot_be_read_is_a_sentence_and_the_rest_is_there(
    metrics: Metrics, clock: FakeClock, tmp_path: Path
) -> None:
    outcomes: Iterator[str] = iter(["It is locked.", ""])

    def summarise(since: datetime) -> UsageSummary:
        if problem := next(outcomes, ""):
            raise DataError(problem)
        return UsageSummary()

    all_of_it = overviews(metrics, clock, tmp_path, summarise)
    found = await all_of_it.read()
    assert (found.usage_problem, found.model.name) == ("It is locked.", "smollm2")
    await clock.advance(2)
    assert (await all_of_it.read()).usage_problem == ""
