"""Calls of a method that Slack counts, where each begins something that another call ends."""

from __future__ import annotations

from collections.abc import Hashable
from math import inf

from bot.ports import Clock

_WINDOW = 61.0


class Slots:
    """At most ``num`` things that have begun and did not end more than a minute ago.

    So neither the calls that begin nor those that end are ever more than ``num`` a minute,
    whenever things end. ``max_age``: seconds after which something counts as ended.
    """

    def __init__(self, num: int, clock: Clock, max_age: float) -> None:
        self._num = num
        self._clock = clock
        self._max_age = max_age
        self._leaves_at: dict[Hashable, float] = {}
        self._paused_until = -inf

    def take(self, key: Hashable) -> bool:
        """False where there is none; taken again, it is the same one."""
        now = self._clock.monotonic()
        self._leaves_at = {key: at for key, at in self._leaves_at.items() if at > now}
        if self.pause_left:
            return False
        if key not in self._leaves_at and len(self._leaves_at) >= self._num:
            return False
        self._leaves_at[key] = now + self._max_age
        return True

    def end(self, key: Hashable) -> None:
        if key in self._leaves_at:
            self._leaves_at[key] = self._clock.monotonic() + _WINDOW

    @property
    def pause_left(self) -> float:
        return max(0.0, self._paused_until - self._clock.monotonic())

    def pause(self, seconds: float) -> None:
        """Slack asked to wait."""
        self._paused_until = self._clock.monotonic() + seconds
