"""Where Slack takes nothing in threads, so that it stands beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from adapters.slack.api.errors import NO_THREADS, UNTHREADABLE
from bot.errors import PlatformRefused
from bot.ports import Clock
from bot.types import Place

_SECONDS = 3_600.0
_MAX_CHANNELS = 1_000


class ThreadlessChannels:
    """Channels that refused a thread: for an hour none is tried there again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    async def post(self, place: Place, post: Callable[[Place], Awaitable[str]]) -> str:
        """Beside the thread where nothing can be posted in it."""
        beside = replace(place, thread="")
        if self._clock.monotonic() < self._until.get(place.channel, 0.0):
            return await post(beside)
        try:
            return await post(place)
        except PlatformRefused as error:
            if not place.thread or error.code not in UNTHREADABLE:
                raise
            if error.code == NO_THREADS:
                self._note(place.channel)
        return await post(beside)

    def _note(self, channel: str) -> None:
        if len(self._until) >= _MAX_CHANNELS:
            self._until.clear()
        self._until[channel] = self._clock.monotonic() + _SECONDS
