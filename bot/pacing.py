"""EditBudget: shares a platform's rate limits fairly between the replies in flight.

Every call to a platform needs a permit first, from ``EditBudget.call`` or
``EditBudget.request``. No permit is granted beyond a ``RateRule``. Free calls go out in the
order of ``Urgency``; within one urgency, the reply that was served least recently goes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf
from operator import attrgetter

from bot.errors import RateLimited
from bot.limits import RateRule
from bot.ports import Clock
from bot.types import Place

_MIN_SLEEP = 0.001
_MIN_BLOCK = 0.1
_MAX_IDLE_WINDOWS = 256
_UNLIMITED = 2**31
_SCOPE_DEPTHS = {"workspace": 1, "channel": 2, "message": 3}

_SLACK = 0.1
"""Seconds by which a window is longer than the rule says: two clocks never agree."""

_EPSILON = 1e-6
"""Seconds that do not count: rounding errors of sums of floats."""

_OPEN_SECONDS = 30.0
_RESERVABLE = 0.8
"""Of a window as long as that: whoever waits for its next calls waits too long."""


class Urgency(IntEnum):
    """The order in which waiting calls are granted."""

    FINAL = 0
    """The last edit of a reply, and any other call that somebody waits for."""
    OPEN = 1
    """The first message of a reply: granted only if its last edit can be reserved, too."""
    FIRST = 2
    """The first text in place of a placeholder, or a further message of a long reply."""
    GROWTH = 3
    """More text: leaves the last edits free, also of replies that are about to open, and is
    spread over the window."""
    SPARE = 4
    """Places in the queue: only while most of the allowance is unused."""


@dataclass(eq=False)
class Permit:
    """A request for one call; once ``granted``, the call counts until ``end``."""

    _budget: EditBudget
    method: str
    place: Place
    message_id: str | None
    urgency: Urgency
    since: float
    granted: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _is_over: bool = field(default=False, init=False)

    def end(self) -> None:
        """The call is over, successful or not; a request that was not granted is withdrawn."""
        if not self._is_over:
            self._is_over = True
            self._budget.end(self)

    def refund(self) -> None:
        """The call was never made."""
        if not self._is_over:
            self._is_over = True
            self._budget.refund(self)

    def block(self, retry_after: float) -> None:
        """The platform asked for a pause of so many seconds: no call in its scope is granted."""
        self._budget.block(self, retry_after)


class EditBudget:
    """One per adapter. Calls made by an earlier process are not known to it."""

    def __init__(self, rules: Sequence[RateRule], clock: Clock) -> None:
        self._rules = tuple(rules)
        self._clock = clock
        self._windows: dict[tuple[RateRule, tuple[str, ...]], RateWindow] = {}
        self._waiting: list[Permit] = []
        self._timer: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def call(
        self,
        method: str,
        place: Place,
        message_id: str | None = None,
        urgency: Urgency = Urgency.FINAL,
    ) -> AsyncIterator[None]:
        """Wait until the call in the body may be made, and count it."""
        permit = self.request(method, place, message_id, urgency=urgency)
        try:
            await permit.granted.wait()
            yield
        except RateLimited as error:
            permit.block(error.retry_after)
            raise
        finally:
            permit.end()

    def request(
        self,
        method: str,
        place: Place,
        message_id: str | None = None,
        *,
        urgency: Urgency,
        since: float = 0.0,
    ) -> Permit:
        """Queue for a call; ``since`` (monotonic) is when the caller was served last.

        The caller must ``end`` the permit, or ``refund`` it if the call was not made.
        An OPEN permit that is granted and not refunded reserves a last edit: ``release`` it.
        """
        permit = Permit(self, method, place, message_id, urgency, since)
        self._waiting.append(permit)
        self._note_opening(permit, 1)
        self._grant()
        return permit

    def has_room(self, method: str, place: Place, message_id: str | None = None) -> bool:
        """Whether such a call could be made at once."""
        now = self._clock.monotonic()
        windows = self._windows_for(method, place, message_id)
        return all(window.delay(Urgency.FINAL, now) <= _EPSILON for window in windows)

    def reserve(self, place: Place, num_edits: int = 1) -> None:
        """A reply in flight will need its last edit here."""
        for window in self._windows_for("edit", place):
            window.num_reserved += num_edits

    def release(self, place: Place) -> None:
        """A reply had its last edit, or needs none any more."""
        self.reserve(place, -1)
        self._grant()

    def end(self, permit: Permit) -> None:
        if permit.granted.is_set():
            for window in self._windows_of(permit):
                window.end(self._clock.monotonic())
        else:
            self._waits_no_more(permit)
        self._grant()

    def refund(self, permit: Permit) -> None:
        if not permit.granted.is_set():
            self.end(permit)
            return
        for window in self._windows_of(permit):
            window.refund()
        if permit.urgency is Urgency.OPEN:
            self.reserve(permit.place, -1)
        self._grant()

    def block(self, permit: Permit, retry_after: float) -> None:
        until = self._clock.monotonic() + max(retry_after, _MIN_BLOCK)
        for window in self._windows_of(permit):
            window.block(until)

    def _grant(self) -> None:
        """Grant every call that may start, in order, and look again when the next one may."""
        now = self._clock.monotonic()
        soonest = inf
        for permit in sorted(self._waiting, key=attrgetter("urgency", "since")):
            delay = self._delay(permit, now)
            if delay <= _EPSILON:
                self._start(permit, now)
            else:
                soonest = min(soonest, delay)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if soonest < inf:
            self._timer = asyncio.create_task(self._look_again(max(soonest, _MIN_SLEEP)))

    def _delay(self, permit: Permit, now: float) -> float:
        delays = [window.delay(permit.urgency, now) for window in self._windows_of(permit)]
        if permit.urgency is Urgency.OPEN:
            edits = self._windows_for("edit", permit.place)
            delays += [window.opening_delay(now) for window in edits]
        return max(delays, default=0.0)

    def _start(self, permit: Permit, now: float) -> None:
        self._waits_no_more(permit)
        for window in self._windows_of(permit):
            window.start(permit.urgency, now)
        if permit.urgency is Urgency.OPEN:
            self.reserve(permit.place)
        permit.granted.set()

    def _waits_no_more(self, permit: Permit) -> None:
        self._waiting.remove(permit)
        self._note_opening(permit, -1)

    def _note_opening(self, permit: Permit, number: int) -> None:
        if permit.urgency is Urgency.OPEN:
            for window in self._windows_for("edit", permit.place):
                window.num_opening += number

    async def _look_again(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timer = None
        self._grant()

    def _windows_of(self, permit: Permit) -> Iterator[RateWindow]:
        return self._windows_for(permit.method, permit.place, permit.message_id)

    def _windows_for(
        self, method: str, place: Place, message_id: str | None = None
    ) -> Iterator[RateWindow]:
        """Where no rule is known, only the platform's ``retry_after`` is obeyed."""
        rules = [rule for rule in self._rules if method in rule.methods]
        for rule in rules or [RateRule(frozenset({method}), "channel", _UNLIMITED, 0.0)]:
            if rule.scope == "message" and message_id is None:
                continue
            whole = (place.workspace, place.channel, message_id or "")
            key = rule, whole[: _SCOPE_DEPTHS[rule.scope]]
            if key not in self._windows:
                self._forget_idle()
                self._windows[key] = RateWindow(rule)
            yield self._windows[key]

    def _forget_idle(self) -> None:
        if len(self._windows) < _MAX_IDLE_WINDOWS:
            return
        now = self._clock.monotonic()
        self._windows = {k: w for k, w in self._windows.items() if not w.is_idle(now)}


class RateWindow:
    """A sliding window: the calls that count against one rule in one scope.

    A platform counts a call when it arrives, at some moment between its start and its end
    here. So a call counts from its start until ``rule.seconds`` after its *end*: whatever
    the network does, no window of the platform's ever holds more than ``rule.max_calls``.

    ``num_reserved``: last edits of replies in flight. A message has one of its own.
    ``num_opening``: replies that wait for their first message, and will reserve one.
    """

    def __init__(self, rule: RateRule) -> None:
        self.rule = rule
        self._num_open = 0
        self._leaves_at: deque[float] = deque()
        self._grown_at = -inf
        self._blocked_until = -inf
        self.num_reserved = self._num_own = 1 if rule.scope == "message" else 0
        self.num_opening = 0

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

    def block(self, until: float) -> None:
        self._blocked_until = max(self._blocked_until, until)

    def is_idle(self, now: float) -> bool:
        """Whether a new window would behave the same."""
        unused = self._num_free(now) == self.rule.max_calls
        is_promised = self.num_opening or self.num_reserved != self._num_own
        return unused and not is_promised and now >= self._blocked_until

    def delay(self, urgency: Urgency, now: float) -> float:
        """Seconds until such a call may start; inf while that depends on other calls.

        Growth may take a third of its share as fast as it likes; the rest is spread.
        """
        if now < self._blocked_until:
            return self._blocked_until - now
        num_opening = self.num_opening if urgency > Urgency.OPEN else 0
        reserve = min(self.num_reserved + num_opening, self._max_reserve)
        spread = (self.rule.max_calls - reserve) * 2 // 3
        kept = {Urgency.FINAL: 0, Urgency.SPARE: reserve + spread}.get(urgency, reserve)
        missing = 1 + kept - self._num_free(now)
        if missing > 0:
            known = missing <= len(self._leaves_at)
            return self._leaves_at[missing - 1] - now if known else inf
        if urgency < Urgency.GROWTH:
            return 0.0
        return self._grown_at + self._gap(now, reserve, spread) - now

    def opening_delay(self, now: float) -> float:
        """Seconds until the last edit of one more reply can be reserved.

        With a short window, more than it holds: every reply's last edit is soon possible.
        """
        rule = self.rule
        windows = _OPEN_SECONDS / rule.seconds if rule.seconds else inf
        if self.num_reserved >= max(1.0, self._max_reserve, rule.max_calls * windows / 2):
            return inf
        return self.delay(Urgency.OPEN, now)

    @property
    def _max_reserve(self) -> int:
        """Calls that growth leaves free, at most: what is left shows that a reply goes on."""
        is_long = self.rule.seconds >= _OPEN_SECONDS
        return int(self.rule.max_calls * (_RESERVABLE if is_long else 0.5))

    def _num_free(self, now: float) -> int:
        while self._leaves_at and self._leaves_at[0] <= now + _EPSILON:
            self._leaves_at.popleft()
        return self.rule.max_calls - self._num_open - len(self._leaves_at)

    def _gap(self, now: float, reserve: int, spread: int) -> float:
        """Seconds between growth calls, so that the free calls last until more are free.

        The steepest even pace at which growth never has to stand still, whichever of the
        calls in the window one looks ahead to.
        """
        left = self._num_free(now) - reserve
        if left > spread or not self.rule.seconds:
            return 0.0
        waits = [at - now for at in self._leaves_at]
        waits += [self.rule.seconds] * (self._num_open + 1)
        return max(wait / (left + num_freed) for num_freed, wait in enumerate(waits))
