"""What those who wait are told: their place, and for how long, as replies have been taking."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from bot.inference.core.stream import GenerationStream
from bot.types import Queued

_SMOOTHING = 0.2


class QueuedReply(Protocol):
    """``queued``: what it was told last."""

    stream: GenerationStream
    queued: Queued | None


class QueueEstimates:
    """``max_running`` replies are written at once."""

    def __init__(self, max_running: int) -> None:
        self._max_running = max_running
        self._mean_seconds = 2.0

    def took(self, seconds: float) -> None:
        """A reply, from accepted to its end."""
        self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)

    def until(self, place: int) -> float:
        """Seconds until the request at ``place`` begins."""
        return self._mean_seconds * place / self._max_running

    def tell(self, waiting: Iterable[QueuedReply]) -> None:
        """Those whose place has changed; the first stands at 1."""
        for place, reply in enumerate(waiting, 1):
            if reply.queued is None or reply.queued.place != place:
                reply.queued = Queued(place, self.until(place))
                reply.stream.put(reply.queued)
