"""Reads the sources of personalities before they are asked for, so that they are kept fresh."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence

from bot.grounding.addresses import host_of
from bot.grounding.ports import ReadsPages
from bot.metrics import Metrics
from bot.ports import Clock
from bot.reading.page import PageRefused
from bot.types import Personality

logger = logging.getLogger(__name__)

_SECONDS = 300.0
_JITTER = 0.2
_MAX_SOURCES = 100


class SourceRefresher:
    """One source after the other; what is fresh by its own headers is not fetched again."""

    def __init__(
        self,
        pages: ReadsPages,
        personalities: Callable[[], Sequence[Personality]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._pages = pages
        self._personalities = personalities
        self._clock = clock
        self._counter = metrics.sources_refreshed
        self._random = random.Random()  # noqa: S311
        self._failing: set[str] = set()

    async def run(self) -> None:
        """Until it is cancelled. Many Parleys do not ask a site at the same moment."""
        while True:
            for address in self._addresses():
                await self._read(address)
                await self._pause(1.0)
            await self._pause(_SECONDS)

    def _addresses(self) -> list[str]:
        known = (each for owner in self._personalities() for each in owner.sources)
        return list(dict.fromkeys(each.address for each in known))[:_MAX_SOURCES]

    async def _read(self, address: str) -> None:
        """A source that cannot be read is logged once, until it can be read again."""
        try:
            await self._pages.read(address, _nobody_hears)
        except PageRefused as refused:
            self._counter.labels("refused").inc()
            if address not in self._failing:
                logger.warning("a source at %s cannot be read: %s", host_of(address), refused)
            self._failing.add(address)
        else:
            self._counter.labels("read").inc()
            self._failing.discard(address)

    async def _pause(self, seconds: float) -> None:
        await self._clock.sleep(seconds * self._random.uniform(1 - _JITTER, 1 + _JITTER))


def _nobody_hears(_: str) -> None:
    """Nobody waits for it."""
