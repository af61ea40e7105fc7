"""``kill -USR2``: whoever looks for what hangs finds it in the log."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from bot.running.stacks import stacks_on_signal
from tests.fakes.clock import settle
from tests.scenarios.polling import eventually

SECRET = "what-ada-said"


async def wait_for_the_tide(moon: asyncio.Event, text: str) -> None:
    await _wait_deeper(moon, [text])


async def _wait_deeper(moon: asyncio.Event, texts: list[str]) -> None:
    async for _ in _waves(moon, texts):
        pass


async def _waves(moon: asyncio.Event, texts: list[str]) -> AsyncIterator[str]:
    await moon.wait()
    yield texts[0]


def compute_for_long(has_begun: threading.Event, may_end: threading.Event, text: str) -> None:
    has_begun.set()
    may_end.wait()


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.WARNING)
    return lambda: "\n".join(r.getMessage() for r in caplog.records if "stacks" in r.name)


async def test_every_thread_and_task_is_in_the_log_with_its_stack_and_no_text(
    seen: Callable[[], str],
) -> None:
    moon, has_begun, may_end = asyncio.Event(), threading.Event(), threading.Event()
    task = asyncio.create_task(wait_for_the_tide(moon, SECRET), name="parley-tide")
    computing = asyncio.create_task(asyncio.to_thread(compute_for_long, has_begun, may_end, SECRET))
    await settle()
    await asyncio.to_thread(has_begun.wait)
    with stacks_on_signal():
        os.kill(os.getpid(), signal.SIGUSR2)
        shown = await eventually(seen)
    may_end.set()
    moon.set()
    await asyncio.gather(task, computing)
    assert "in compute_for_long" in shown
    assert "Task parley-tide (most recent call first):" in shown
    of_task = shown[shown.index("Task parley-tide") :]
    names = ["in wait", "in _waves", "in _wait_deeper", "in wait_for_the_tide"]
    places = [of_task.index(name) for name in names[1:]]
    assert places == sorted(places)
    assert SECRET not in shown


async def test_the_threads_are_those_of_the_moment_of_the_signal(seen: Callable[[], str]) -> None:
    """The event loop is blocked then, and it can be seen by what."""

    def block_the_event_loop() -> None:
        os.kill(os.getpid(), signal.SIGUSR2)

    with stacks_on_signal():
        block_the_event_loop()
        assert not seen()
        shown = await eventually(seen)
    assert "in block_the_event_loop" in shown


async def test_a_second_signal_shows_what_is_then(
    seen: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    def at_first() -> None:
        os.kill(os.getpid(), signal.SIGUSR2)

    with stacks_on_signal():
        at_first()
        await eventually(seen)
        caplog.clear()
        os.kill(os.getpid(), signal.SIGUSR2)
        shown = await eventually(seen)
    assert "in at_first" not in shown
