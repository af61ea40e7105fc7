"""What people think of a reply: the newest vote that was not taken back counts."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from bot.errors import AccessDenied
from bot.stores import Turn
from bot.turns.notices import Notices
from bot.turns.queues import MessageLocks
from bot.turns.reactions import rating_of
from bot.turns.services import Services
from bot.types import Feedback, StopRequest

GONE = "I do not remember this answer any more."
TAKEN_BACK = "Your vote is taken back."
_NOTED = {1: "Noted: 👍", -1: "Noted: 👎"}
_MAX_ANSWERS = 5_000


class Votes:
    """Who voted how is remembered for the newest answers and not stored: a vote that somebody
    takes back after a restart leaves none.
    """

    def __init__(self, services: Services, notices: Notices, locks: MessageLocks) -> None:
        self._services = services
        self._notices = notices
        self._locks = locks
        self._cast: OrderedDict[tuple[str, datetime | None], dict[str, int]] = OrderedDict()

    async def react(self, request: StopRequest) -> None:
        """A reaction that was added; most judge nothing."""
        if rating := rating_of(request.reaction or ""):
            await self.rate(
                Feedback(
                    event_id=request.event_id,
                    place=request.place,
                    person=request.person,
                    message_id=request.message_id,
                    rating=rating,
                    reaction=request.reaction,
                )
            )

    async def rate(self, feedback: Feedback) -> None:
        """Who presses a button is told what became of it, alone."""
        if feedback.reaction is not None and not rating_of(feedback.reaction):
            return
        async with self._locks.hold(feedback.place, feedback.message_id):
            said = await self._rate(feedback)
        if said and feedback.is_pressed:
            self._notices.whisper(feedback, said)

    async def _rate(self, feedback: Feedback) -> str:
        deliveries = self._services.deliveries
        turn = await deliveries.turn_of_message(feedback.place, feedback.message_id)
        if turn is None:
            return GONE
        if feedback.reaction is not None and turn.message_id == feedback.message_id:
            return ""  # of the question, not of its answer
        try:
            self._services.access.check(feedback.place, feedback.person, is_direct=False)
        except AccessDenied as error:
            return str(error)
        if not await deliveries.accept_event(feedback):
            return ""
        own = self._vote(turn, feedback)
        await deliveries.rate(turn.id, self._counting(turn))
        return _NOTED[own] if own else TAKEN_BACK

    def _vote(self, turn: Turn, feedback: Feedback) -> int:
        """The person's own vote from now on."""
        votes = self._cast.setdefault((turn.id, turn.finished_at), {})
        self._cast.move_to_end((turn.id, turn.finished_at))
        if len(self._cast) > _MAX_ANSWERS:
            self._cast.popitem(last=False)
        before = votes.pop(feedback.person.id, 0)
        own = feedback.rating
        if feedback.is_pressed and own == before:
            own = 0
        elif not own and before and before != rating_of(feedback.reaction or ""):
            own = before if feedback.reaction is not None else 0
        if own:
            votes[feedback.person.id] = own
        return own

    def _counting(self, turn: Turn) -> int:
        votes = self._cast[turn.id, turn.finished_at]
        return next(reversed(votes.values()), 0)
