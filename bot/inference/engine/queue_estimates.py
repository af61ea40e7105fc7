"""Places in the queue and estimated waiting times, from how long replies took so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from bot.inference.core.stream import GenerationStream
from bot.types import Queued

_SMOOTHING = 0.2


class QueuedReply(Protocol):
    """A reply in the queue. ``queued`` is the last event that its stream got."""

    stream: GenerationStream
    queued: Queued | None


class QueueEstimates:
    """Estimates for an engine that decodes ``max_running`` replies at once."""

    def __init__(self, max_running: int) -> None:
        self._max_running = max_running
        self._mean_seconds = 2.0

    def took(self, seconds: float) -> None:
        """A reply ended ``seconds`` after it was accepted."""
        self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)

    def until(self, place: int) -> float:
        """Seconds until the request at ``place`` starts."""
        return self._mean_seconds * place / self._max_running

    def tell(self, waiting: Iterable[QueuedReply]) -> None:
        """Send ``Queued`` to every reply whose place has changed; places count from 1."""
        for place, reply in enumerate(waiting, 1):
            if reply.queued is None or reply.queued.place != place:
                reply.queued = Queued(place, self.until(place))
                reply.stream.put(reply.queued)
