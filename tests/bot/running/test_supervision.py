"""An adapter that fails is reported, tried again ever more rarely, and harms nobody else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Self

import pytest

from bot.errors import SettingsError, Unavailable
from bot.ports import Handler
from bot.running.supervision import Supervisor
from bot.types import Incoming
from tests.contracts.store import ask
from tests.fakes.clock import FakeClock
from tests.fakes.platform import FakePlatform

REFUSED = SettingsError(["SLACK_BOT_TOKEN was refused."])
LOST = Unavailable("The line is lost.", ambiguous=False)


class FaultyAdapter(FakePlatform):
    """``refusals``: what the next attempts to enter raise. ``lines``: how long each line lasts.

    A line ends with an error, or by itself; after the last one it is as good as new.
    """

    def __init__(self, clock: FakeClock, name: str = "fake") -> None:
        super().__init__(clock, name=name)
        self._time = clock
        self.refusals: deque[Exception] = deque()
        self.lines: deque[tuple[float, Exception | None]] = deque()
        self.entered_at: list[float] = []

    async def __aenter__(self) -> Self:
        self.entered_at.append(self._time.monotonic())
        if self.refusals:
            raise self.refusals.popleft()
        return await super().__aenter__()

    async def listen(self, handler: Handler) -> None:
        if not self.lines:
            await super().listen(handler)
        seconds, error = self.lines.popleft()
        await self._time.sleep(seconds)
        if error is not None:
            raise error


async def no_handler(incoming: Incoming) -> None:
    raise AssertionError(f"nobody takes {incoming}")


@asynccontextmanager
async def running(*supervisors: Supervisor) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in supervisors]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def supervised(adapter: FakePlatform, clock: FakeClock) -> Supervisor:
    supervisor = Supervisor(adapter, no_handler, clock)
    supervisor.go.set()
    return supervisor


async def test_an_adapter_that_connects_is_up() -> None:
    clock = FakeClock()
    supervisor = supervised(FakePlatform(clock), clock)
    assert supervisor.state.status == "starting"
    async with running(supervisor):
        await clock.advance(0)
        assert supervisor.settled.is_set()
        assert (supervisor.state.name, supervisor.state.status) == ("fake", "up")


async def test_an_adapter_that_cannot_connect_says_why_and_is_up_once_it_can() -> None:
    clock = FakeClock()
    adapter = FaultyAdapter(clock)
    adapter.refusals.append(REFUSED)
    supervisor = supervised(adapter, clock)
    async with running(supervisor):
        await clock.advance(0)
        assert supervisor.settled.is_set()
        assert (supervisor.state.status, supervisor.state.detail) == (
            "down",
            "SLACK_BOT_TOKEN was refused.",
        )
        await clock.advance(1)
        assert (supervisor.state.status, supervisor.state.detail) == ("up", "")


async def test_who_cannot_connect_is_tried_ever_more_rarely_but_every_five_minutes() -> None:
    clock = FakeClock()
    adapter = FaultyAdapter(clock)
    adapter.refusals.extend([REFUSED] * 12)
    async with running(supervised(adapter, clock)):
        await clock.advance(3600)
    pauses = [after - before for before, after in pairwise(adapter.entered_at)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


async def test_a_line_that_is_lost_is_taken_up_again() -> None:
    clock = FakeClock()
    adapter = FaultyAdapter(clock)
    adapter.lines.append((10, LOST))
    supervisor = supervised(adapter, clock)
    async with running(supervisor):
        await clock.advance(10)
        assert (supervisor.state.status, supervisor.state.detail) == ("down", "The line is lost.")
        assert not adapter.is_entered
        await clock.advance(1)
        assert supervisor.state.status == "up"
        assert adapter.is_entered


async def test_a_line_that_ends_without_a_word_is_taken_up_again() -> None:
    clock = FakeClock()
    adapter = FaultyAdapter(clock)
    adapter.lines.append((10, None))
    supervisor = supervised(adapter, clock)
    async with running(supervisor):
        await clock.advance(10)
        assert supervisor.state.detail == "the line was closed"
        await clock.advance(1)
        assert supervisor.state.status == "up"


async def test_a_line_that_is_lost_again_and_again_is_taken_up_ever_more_rarely() -> None:
    clock = FakeClock()
    adapter = FaultyAdapter(clock)
    adapter.lines.extend([(0.5, LOST)] * 3)
    async with running(supervised(adapter, clock)):
        await clock.advance(60)
    assert adapter.entered_at == [0, 1.5, 4, 8.5]


async def test_a_line_that_held_for_a_minute_is_taken_up_again_at_once() -> None:
    clock = FakeClock()
    adapter = FaultyAdapter(clock)
    adapter.lines.extend([(0.5, LOST), (0.5, LOST), (60, LOST), (60, LOST)])
    async with running(supervised(adapter, clock)):
        await clock.advance(300)
    assert adapter.entered_at == [0, 1.5, 4, 65, 126]


async def test_an_unexpected_error_is_named_and_logged_and_the_adapter_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    adapter = FaultyAdapter(clock)
    adapter.lines.append((1, ZeroDivisionError("oh")))
    supervisor = supervised(adapter, clock)
    async with running(supervisor):
        await clock.advance(1)
        assert supervisor.state.detail == "unexpected ZeroDivisionError; see the log"
        assert "Traceback" in caplog.text
        await clock.advance(1)
        assert supervisor.state.status == "up"


async def test_one_that_fails_leaves_the_others_as_they_are() -> None:
    clock = FakeClock()
    broken, sound = FaultyAdapter(clock, "broken"), FaultyAdapter(clock, "sound")
    broken.refusals.extend([ZeroDivisionError("oh"), REFUSED])
    broken.lines.extend([(1, LOST), (1, ZeroDivisionError("oh"))])
    supervisors = [supervised(each, clock) for each in (broken, sound)]
    async with running(*supervisors):
        await clock.advance(600)
        assert supervisors[1].state.status == "up"
    assert sound.entered_at == [0]
    assert len(broken.entered_at) == 5


async def test_nothing_is_delivered_before_everything_else_is_ready() -> None:
    clock = FakeClock()
    platform = FakePlatform(clock)
    taken: list[Incoming] = []

    async def take(incoming: Incoming) -> None:
        taken.append(incoming)

    supervisor = Supervisor(platform, take, clock)
    async with running(supervisor):
        delivery = asyncio.create_task(platform.deliver(ask("1")))
        await clock.advance(60)
        assert supervisor.state.status == "up"
        assert taken == []
        supervisor.go.set()
        await clock.advance(0)
        await delivery
        assert taken == [ask("1")]


async def test_who_is_cancelled_leaves_the_platform() -> None:
    clock = FakeClock()
    platform = FakePlatform(clock)
    async with running(supervised(platform, clock)):
        await clock.advance(0)
        assert platform.is_entered
    assert not platform.is_entered
