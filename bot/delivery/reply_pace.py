"""ReplyPace: when a reply's next call may be made, and how urgent it is.

Beside it: ``Backoff`` for calls that fail, and ``PendingIndicator`` for a reply that has to wait.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

from bot.capabilities import Capabilities, Reacts
from bot.delivery.reply_messages import PlatformCall, SentMessage
from bot.errors import PlatformError
from bot.pacing import EditBudget, Permit, Urgency
from bot.ports import Adapter, Clock
from bot.types import Place

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_MAX_DOUBLINGS = 5


class ReplyPace:
    """Of one reply in ``place``; moments are monotonic.

    ``has_text``: the place shows some of the reply itself, not only its placeholder.
    """

    def __init__(self, adapter: Adapter, budget: EditBudget, clock: Clock, place: Place) -> None:
        self._limits = adapter.limits
        can = Capabilities.of(adapter)
        self._growing = can.grows
        self._counts = can.counts_growth
        self._budget = budget
        self._clock = clock
        self._place = place
        self._final_at: float | None = None
        self._served_at = -inf
        self._has_reserved = False
        self.has_text = False

    def reserve(self) -> None:
        """The reply has messages of an earlier run, which will need a last edit."""
        self._budget.reserve(self._place)
        self._has_reserved = True

    def release(self) -> None:
        """The reply had its last edit, or needs none any more."""
        if self._has_reserved:
            self._budget.release(self._place)

    def finish(self) -> None:
        """Only the last calls are left, and somebody waits for them from now on."""
        self._final_at = self._clock.monotonic()

    def not_before(self, call: PlatformCall, message: SentMessage | None) -> float:
        """``message`` is the one that the call is about, if there is one yet."""
        if self._final_at is not None or call.method != "edit" or message is None:
            return -inf
        interval = self._limits.edit_interval
        if self._growing:
            interval = self._growing.growth_interval(self._place)
        return message.called_at + interval

    def request(self, call: PlatformCall) -> Permit:
        """Queue for the call."""
        since = self._served_at if self._final_at is None else self._final_at
        urgency = self._urgency(call)
        return self._budget.request(
            self._method(call), self._place, call.message_id, urgency=urgency, since=since
        )

    def _method(self, call: PlatformCall) -> str:
        if self._counts and call.method == "edit" and call.message_id and not call.is_last:
            return self._counts.growth_method(call.message_id)
        return call.method

    def serve(self, permit: Permit) -> None:
        """The call of this permit is made now."""
        self._has_reserved |= permit.urgency is Urgency.OPEN
        self._served_at = self._clock.monotonic()

    def _urgency(self, call: PlatformCall) -> Urgency:
        if self._final_at is not None or call.method in ("find_posts", "delete"):
            return Urgency.FINAL
        if call.method == "post":
            return Urgency.FIRST if self._has_reserved else Urgency.OPEN
        if not call.is_text:
            return Urgency.SPARE
        return Urgency.GROWTH if self.has_text else Urgency.FIRST


@dataclass
class Backoff:
    """Pauses of 1 to 32 s, doubling, each shortened by up to a half so that few coincide.

    ``patience``: seconds of nothing but failure after which it is exhausted.
    """

    patience: float
    rng: random.Random
    retry_at: float = -inf
    _num_failures: int = 0
    _failing_since: float = inf

    def fail(self, now: float) -> None:
        pause = _FIRST_PAUSE * 2 ** min(self._num_failures, _MAX_DOUBLINGS)
        self.retry_at = now + pause * self.rng.uniform(0.5, 1.0)
        self._failing_since = min(self._failing_since, now)
        self._num_failures += 1

    def is_exhausted(self, now: float) -> bool:
        return now - self._failing_since > self.patience

    def reset(self) -> None:
        """A call succeeded, or there is a new reason to retry at once."""
        self._num_failures = 0
        self._failing_since = inf
        self.retry_at = -inf


@dataclass
class PendingIndicator:
    """A 👀 under the question, or "typing", until the reply's first message is posted.

    It is decoration: it is skipped where it would have to wait, and its failures are logged.
    ``is_shown`` from the start: a process that died may have left its 👀.
    """

    adapter: Adapter
    reacts: Reacts | None
    budget: EditBudget
    place: Place
    question_id: str | None
    is_shown: bool

    async def show(self) -> None:
        reacts, question_id = self.reacts, self.question_id
        method = "react" if reacts else "typing"
        if self.is_shown or not self._has_room(method):
            return
        self.is_shown = True
        if reacts and question_id is not None:
            await self._call("react", lambda: reacts.react(self.place, question_id))
        else:
            await self._call("typing", lambda: self.adapter.typing(self.place))

    async def remove(self, *, patiently: bool) -> None:
        reacts, question_id = self.reacts, self.question_id
        if not self.is_shown or not reacts or question_id is None:
            return
        if patiently or self._has_room("unreact"):
            self.is_shown = False
            await self._call("unreact", lambda: reacts.unreact(self.place, question_id))

    def _has_room(self, method: str) -> bool:
        return self.budget.has_room(method, self.place, self.question_id)

    async def _call(self, method: str, call: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self.budget.call(method, self.place, self.question_id):
                await call()
        except PlatformError as error:
            logger.debug("%s failed: %s", method, error)
