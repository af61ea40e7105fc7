"""EditBudget: shares a platform's rate limits fairly between the replies in flight.

Every call to a platform is asked for here first, by ``EditBudget.call`` or by a ``Ticket``.
No call is ever granted beyond a ``RateRule``. What a rule leaves is given in the order of
``Urgency``, and within one urgency to whoever was served least recently.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from math import inf

from bot.delivery.rate_window import EPSILON, RateWindow, Urgency
from bot.errors import RateLimited
from bot.ports import Clock
from bot.types import Place, RateRule

_MIN_SLEEP = 0.001
_MIN_BLOCK = 0.1
_MAX_IDLE_WINDOWS = 256
_UNLIMITED = 2**31


class Ticket:
    """A place in the line for one call; once granted, the call counts until ``end``."""

    def __init__(
        self,
        budget: EditBudget,
        method: str,
        place: Place,
        message_id: str | None,
        urgency: Urgency,
        since: float,
    ) -> None:
        self._budget = budget
        self.method = method
        self.place = place
        self.message_id = message_id
        self.urgency = urgency
        self.since = since
        self.granted = asyncio.Event()
        self._is_over = False

    @property
    def rank(self) -> tuple[Urgency, float]:
        return self.urgency, self.since

    def end(self) -> None:
        """The call is over, however it went; or it is no longer wanted, if not granted yet."""
        if not self._is_over:
            self._is_over = True
            self._budget.end(self)

    def refund(self) -> None:
        """The call was never made."""
        if not self._is_over:
            self._is_over = True
            self._budget.refund(self)

    def block(self, retry_after: float) -> None:
        """The platform asked to wait: so does everybody in the scope of the rule."""
        self._budget.block(self, retry_after)


class EditBudget:
    """One per adapter; see the module. Calls made by an earlier process are not known to it."""

    def __init__(self, rules: Sequence[RateRule], clock: Clock) -> None:
        self._rules = tuple(rules)
        self._clock = clock
        self._windows: dict[tuple[RateRule, tuple[str, ...]], RateWindow] = {}
        self._waiting: list[Ticket] = []
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
        ticket = self.request(method, place, message_id, urgency=urgency)
        try:
            await ticket.granted.wait()
            yield
        except RateLimited as error:
            ticket.block(error.retry_after)
            raise
        finally:
            ticket.end()

    def request(
        self,
        method: str,
        place: Place,
        message_id: str | None = None,
        *,
        urgency: Urgency,
        since: float = 0.0,
    ) -> Ticket:
        """Stand in line; ``since`` (monotonic) is when the asker was served last.

        Whoever asks must ``end`` the ticket, or ``refund`` it if the call was not made.
        An OPEN ticket that was granted and not refunded is a promise: ``settle`` it.
        """
        ticket = Ticket(self, method, place, message_id, urgency, since)
        self._waiting.append(ticket)
        self._grant()
        return ticket

    def has_room(self, method: str, place: Place, message_id: str | None = None) -> bool:
        """Whether such a call could be made at once."""
        now = self._clock.monotonic()
        windows = self._windows_for(method, place, message_id)
        return all(window.delay(Urgency.FINAL, now) <= EPSILON for window in windows)

    def promise(self, place: Place) -> None:
        """A reply in flight will need a last edit here."""
        self._promise(place, 1)

    def settle(self, place: Place) -> None:
        """It had its last edit, or needs none any more."""
        self._promise(place, -1)
        self._grant()

    def end(self, ticket: Ticket) -> None:
        if ticket.granted.is_set():
            for window in self._windows_of(ticket):
                window.end(self._clock.monotonic())
        else:
            self._waiting.remove(ticket)
        self._grant()

    def refund(self, ticket: Ticket) -> None:
        if not ticket.granted.is_set():
            self.end(ticket)
            return
        for window in self._windows_of(ticket):
            window.refund()
        if ticket.urgency is Urgency.OPEN:
            self._promise(ticket.place, -1)
        self._grant()

    def block(self, ticket: Ticket, retry_after: float) -> None:
        until = self._clock.monotonic() + max(retry_after, _MIN_BLOCK)
        for window in self._windows_of(ticket):
            window.block(until)

    def _grant(self) -> None:
        """Let everybody start who may, in order, and look again when the next one may."""
        now = self._clock.monotonic()
        soonest = inf
        for ticket in sorted(self._waiting, key=lambda ticket: ticket.rank):
            delay = self._delay(ticket, now)
            if delay <= EPSILON:
                self._start(ticket, now)
            soonest = min(soonest, delay if delay > EPSILON else inf)
        self._look_again_in(soonest)

    def _delay(self, ticket: Ticket, now: float) -> float:
        delays = [window.delay(ticket.urgency, now) for window in self._windows_of(ticket)]
        if ticket.urgency is Urgency.OPEN:
            edits = self._windows_for("edit", ticket.place)
            delays += [window.opening_delay(now) for window in edits]
        return max(delays, default=0.0)

    def _start(self, ticket: Ticket, now: float) -> None:
        self._waiting.remove(ticket)
        for window in self._windows_of(ticket):
            window.start(ticket.urgency, now)
        if ticket.urgency is Urgency.OPEN:
            self._promise(ticket.place, 1)
        ticket.granted.set()

    def _look_again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds < inf:
            self._timer = asyncio.create_task(self._look_again(max(seconds, _MIN_SLEEP)))

    async def _look_again(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._timer = None
        self._grant()

    def _promise(self, place: Place, change: int) -> None:
        for window in self._windows_for("edit", place):
            window.promise(change)

    def _windows_of(self, ticket: Ticket) -> Iterator[RateWindow]:
        return self._windows_for(ticket.method, ticket.place, ticket.message_id)

    def _windows_for(
        self, method: str, place: Place, message_id: str | None = None
    ) -> Iterator[RateWindow]:
        rules = [rule for rule in self._rules if method in rule.methods]
        for rule in rules or [_unwritten_rule(method)]:
            if rule.scope != "message" or message_id is not None:
                yield self._window(rule, _scope(rule, place, message_id or ""))

    def _window(self, rule: RateRule, scope: tuple[str, ...]) -> RateWindow:
        window = self._windows.get((rule, scope))
        if window is None:
            self._forget_idle()
            window = self._windows[rule, scope] = RateWindow(rule)
        return window

    def _forget_idle(self) -> None:
        if len(self._windows) < _MAX_IDLE_WINDOWS:
            return
        now = self._clock.monotonic()
        self._windows = {k: w for k, w in self._windows.items() if not w.is_idle(now)}


def _unwritten_rule(method: str) -> RateRule:
    """Where no rule is known, only the platform's ``retry_after`` is obeyed."""
    return RateRule(frozenset({method}), "channel", _UNLIMITED, 0.0)


def _scope(rule: RateRule, place: Place, message_id: str) -> tuple[str, ...]:
    depth = {"workspace": 1, "channel": 2, "message": 3}[rule.scope]
    return (place.workspace, place.channel, message_id)[:depth]
