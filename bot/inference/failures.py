"""How often the engine loop failed of late, and what follows from it."""

from __future__ import annotations

import asyncio
import time
from collections import deque

_MAX_FAILURES, _FAILURE_SECONDS = 3, 60.0
_PAUSE_SECONDS = 1.0


class Failures:
    """Three within a minute are too many: ``/readyz`` turns red, and the loop slows down."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_MAX_FAILURES)

    @property
    def are_many(self) -> bool:
        if len(self._times) < _MAX_FAILURES:
            return False
        return time.monotonic() - self._times[0] <= _FAILURE_SECONDS

    def note(self) -> None:
        """One more."""
        self._times.append(time.monotonic())

    async def pause(self) -> None:
        """What fails at once and for ever must not fill the log and heat a core."""
        await asyncio.sleep(_PAUSE_SECONDS if self.are_many else 0)
