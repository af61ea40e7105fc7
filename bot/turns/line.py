"""Where people wait while the engine's queue is full; programs are refused instead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bot.errors import QueueFull
from bot.ports import Clock, Generation

_POLL_SECONDS = 5.0
"""The engine is tried again at least this often, though no generation of ours ended."""


class Line:
    """First come, first served: only who stands first tries the engine again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[asyncio.Event] = deque()

    async def submit(
        self,
        attempt: Callable[[], Awaitable[Generation]],
        show_place: Callable[[int], None],
        halted: asyncio.Event,
    ) -> Generation | None:
        """What ``attempt`` gives once it raises no ``QueueFull``; None if halted before."""
        if not (self._waiting or halted.is_set()):
            with suppress(QueueFull):
                return await attempt()
        news = asyncio.Event()
        self._waiting.append(news)
        try:
            return await self._stand(news, attempt, show_place, halted)
        finally:
            self._waiting.remove(news)
            self.move()

    def move(self) -> None:
        """A generation ended or somebody left: everybody looks up."""
        for news in self._waiting:
            news.set()

    async def _stand(
        self,
        news: asyncio.Event,
        attempt: Callable[[], Awaitable[Generation]],
        show_place: Callable[[int], None],
        halted: asyncio.Event,
    ) -> Generation | None:
        while not halted.is_set():
            show_place(self._waiting.index(news) + 1)
            await self._pause(news, halted)
            if self._waiting[0] is news and not halted.is_set():
                with suppress(QueueFull):
                    return await attempt()
        return None

    async def _pause(self, *events: asyncio.Event) -> None:
        """Until one of the events happens, or it is time to try again."""
        waits: list[asyncio.Future[object]] = [
            asyncio.ensure_future(wait)
            for wait in (*(event.wait() for event in events), self._clock.sleep(_POLL_SECONDS))
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            events[0].clear()


def in_line(place: int, wait: float | None = None) -> str:
    """``You are 3rd in line, about 20 s…``"""
    who = "You are next in line" if place == 1 else f"You are {ordinal(place)} in line"
    if wait is None:
        return f"{who}…"
    return f"{who}, about {_rounded(wait)}…"


def in_thread(num_ahead: int) -> str:
    """While earlier questions of the same thread are answered."""
    if num_ahead == 1:
        return "Next in this thread…"
    return f"{ordinal(num_ahead)} in line in this thread…"


def ordinal(number: int) -> str:
    last = number % 10 if number % 100 not in (11, 12, 13) else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def _rounded(seconds: float) -> str:
    """Coarse, so that an estimate that wavers does not move the message."""
    if seconds < 90:
        step = 1 if seconds < 5 else 5
        return f"{max(1, round(seconds / step) * step)} s"
    return f"{round(seconds / 60)} min"
