"""RateWindow: which calls count against a rate rule now, and how soon another may start."""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from math import inf

from bot.types import RateRule

_SLACK = 0.1
"""Seconds by which a window is held longer than the rule says: clocks are not one."""

EPSILON = 1e-6
"""Seconds that do not count: sums of floats."""

_OPEN_SECONDS = 30.0


class Urgency(IntEnum):
    """Who goes first."""

    FINAL = 0
    """The end of a reply, and any other call that somebody waits for."""
    OPEN = 1
    """The first message of a reply: granted only if its last edit can be promised, too."""
    FIRST = 2
    """The first text in place of a placeholder, or a further message of a long reply."""
    GROWTH = 3
    """More text: leaves a reserve for the promised last edits, and is spread over the window."""
    SPARE = 4
    """Places in the queue: only while most of the allowance is unused."""


class RateWindow:
    """The calls that count against one rule in one scope.

    A platform counts a call when it arrives, at some moment between its start and its end
    here. So a call counts from its start until ``rule.seconds`` after its *end*: whatever
    the network does, no window of the platform's ever holds more than ``rule.max_calls``.
    """

    def __init__(self, rule: RateRule) -> None:
        self.rule = rule
        self._num_open = 0
        self._leaves_at: deque[float] = deque()
        self._grown_at = -inf
        self._blocked_until = -inf
        self._num_promised = self._num_own = 1 if rule.scope == "message" else 0

    def start(self, urgency: Urgency, now: float) -> None:
        self._num_open += 1
        if urgency >= Urgency.GROWTH:
            self._grown_at = now

    def end(self, now: float) -> None:
        self._num_open -= 1
        slack = _SLACK if self.rule.seconds else 0.0
        self._leaves_at.append(now + self.rule.seconds + slack)

    def refund(self) -> None:
        self._num_open -= 1

    def promise(self, change: int) -> None:
        self._num_promised += change

    def block(self, until: float) -> None:
        self._blocked_until = max(self._blocked_until, until)

    def is_idle(self, now: float) -> bool:
        """Whether it is as good as new."""
        unused = self._num_free(now) == self.rule.max_calls
        return unused and self._num_promised == self._num_own and now >= self._blocked_until

    def delay(self, urgency: Urgency, now: float) -> float:
        """Seconds until such a call may start; inf while that depends on other calls."""
        if now < self._blocked_until:
            return self._blocked_until - now
        missing = 1 + self._num_kept(urgency) - self._num_free(now)
        if missing > 0:
            known = missing <= len(self._leaves_at)
            return self._leaves_at[missing - 1] - now if known else inf
        if urgency < Urgency.GROWTH:
            return 0.0
        return self._grown_at + self._gap(now) - now

    def opening_delay(self, now: float) -> float:
        """Seconds until the last edit of one more reply can be promised.

        Half of what the rule allows in half a minute may be promised: the rest is growth,
        and with a short window everybody's last edit is soon possible anyway.
        """
        rule = self.rule
        windows = max(1.0, _OPEN_SECONDS / rule.seconds) if rule.seconds else inf
        if self._num_promised >= max(1.0, rule.max_calls * windows / 2):
            return inf
        return self.delay(Urgency.OPEN, now)

    @property
    def _num_reserved(self) -> int:
        return min(self._num_promised, self.rule.max_calls // 2)

    def _num_kept(self, urgency: Urgency) -> int:
        """The calls that this urgency must leave to others."""
        if urgency is Urgency.FINAL:
            return 0
        if urgency is Urgency.SPARE:
            return self._num_reserved + self._num_spread
        return self._num_reserved

    @property
    def _num_spread(self) -> int:
        """Growth may take a third of its share as fast as it likes; this much is spread."""
        return (self.rule.max_calls - self._num_reserved) * 2 // 3

    def _num_free(self, now: float) -> int:
        while self._leaves_at and self._leaves_at[0] <= now + EPSILON:
            self._leaves_at.popleft()
        return self.rule.max_calls - self._num_open - len(self._leaves_at)

    def _gap(self, now: float) -> float:
        """Seconds between growth calls, so that what is left lasts until more is free.

        The steepest even pace at which growth never has to stand still, whichever of the
        calls in the window one looks ahead to.
        """
        left = self._num_free(now) - self._num_reserved
        if left > self._num_spread or not self.rule.seconds:
            return 0.0
        waits = [at - now for at in self._leaves_at]
        waits += [self.rule.seconds] * (self._num_open + 1)
        return max(wait / (left + num_freed) for num_freed, wait in enumerate(waits))
