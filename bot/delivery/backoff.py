"""Backoff: when to try again what failed, and when to give up."""

from __future__ import annotations

import random
from math import inf

_FIRST_PAUSE = 1.0
_MAX_DOUBLINGS = 5


class Backoff:
    """Pauses of 1 to 32 s, doubling, each shortened by up to a half so that few coincide.

    ``patience``: seconds of nothing but failure after which it is ``exhausted``.
    """

    def __init__(self, patience: float, rng: random.Random) -> None:
        self._patience = patience
        self._rng = rng
        self._num_failures = 0
        self._failing_since = inf
        self.retry_at = -inf

    def fail(self, now: float) -> None:
        pause = _FIRST_PAUSE * 2 ** min(self._num_failures, _MAX_DOUBLINGS)
        self.retry_at = now + pause * self._rng.uniform(0.5, 1.0)
        self._failing_since = min(self._failing_since, now)
        self._num_failures += 1

    def is_exhausted(self, now: float) -> bool:
        return now - self._failing_since > self._patience

    def reset(self) -> None:
        """It worked, or there is a new reason to try at once."""
        self._num_failures = 0
        self._failing_since = inf
        self.retry_at = -inf
