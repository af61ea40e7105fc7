"""ReplyPace: when a reply's next call may be made, and how urgent it is."""

from __future__ import annotations

from math import inf

from bot.delivery.reply_messages import Message, Step
from bot.pacing import EditBudget, Permit, Urgency
from bot.ports import Adapter, Clock, GrowsReplies
from bot.types import Place


class ReplyPace:
    """Of one reply in ``place``; moments are monotonic.

    ``has_text``: some of the reply itself can be read there, not only its placeholder.
    """

    def __init__(self, adapter: Adapter, budget: EditBudget, clock: Clock, place: Place) -> None:
        self._adapter = adapter
        self._budget = budget
        self._clock = clock
        self._place = place
        self._final_at: float | None = None
        self._served_at = -inf
        self._has_reserved = False
        self.has_text = False

    def reserve(self) -> None:
        """It has messages of an earlier run, which will need a last edit."""
        self._budget.reserve(self._place)
        self._has_reserved = True

    def release(self) -> None:
        """It had its last edit, or needs none any more."""
        if self._has_reserved:
            self._budget.release(self._place)

    def finish(self) -> None:
        """Only the last calls are left, and somebody waits for them from now on."""
        self._final_at = self._clock.monotonic()

    def not_before(self, step: Step, message: Message | None) -> float:
        """``message`` is the one that the step is about, if there is one yet."""
        if self._final_at is not None or step.method != "edit" or message is None:
            return -inf
        return message.called_at + self._interval

    @property
    def _interval(self) -> float:
        if isinstance(self._adapter, GrowsReplies):
            return self._adapter.growth_interval(self._place)
        return self._adapter.limits.edit_interval

    def request(self, step: Step, *, is_text: bool) -> Permit:
        """Stand in line. ``is_text``: what would be shown is no placeholder."""
        since = self._served_at if self._final_at is None else self._final_at
        urgency = self._urgency(step, is_text)
        return self._budget.request(
            step.method, self._place, step.message_id, urgency=urgency, since=since
        )

    def serve(self, permit: Permit) -> None:
        """The call of this permit is made now."""
        self._has_reserved |= permit.urgency is Urgency.OPEN
        self._served_at = self._clock.monotonic()

    def _urgency(self, step: Step, is_text: bool) -> Urgency:
        if self._final_at is not None or step.method in ("find_posts", "delete"):
            return Urgency.FINAL
        if step.method == "post":
            return Urgency.FIRST if self._has_reserved else Urgency.OPEN
        if not is_text:
            return Urgency.SPARE
        return Urgency.GROWTH if self.has_text else Urgency.FIRST
