"""What people think of a reply: the newest vote that was not taken back counts."""

from __future__ import annotations

from bot.errors import AccessDenied
from bot.stored import Vote
from bot.turns.notices import Notices
from bot.turns.queues import MessageLocks
from bot.turns.reactions import rating_of
from bot.turns.services import Services
from bot.types import Feedback, StopRequest

GONE = "I do not remember this answer any more."
TAKEN_BACK = "Your vote is taken back."
_NOTED = {1: "Noted: 👍", -1: "Noted: 👎"}


class Votes:
    """Each person has one, whether they press a button or react."""

    def __init__(self, services: Services, notices: Notices, locks: MessageLocks) -> None:
        self._services = services
        self._notices = notices
        self._locks = locks

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
        """Who presses a button for the first time, or takes that back, is told so alone."""
        if feedback.reaction is not None and not rating_of(feedback.reaction):
            return
        async with self._locks.hold(feedback.place, feedback.message_id):
            said = await self._rate(feedback)
        if said and feedback.is_pressed:
            self._notices.whisper(feedback, said)

    async def _rate(self, feedback: Feedback) -> str:
        try:
            self._services.access.check(feedback.place, feedback.person, is_direct=False)
        except AccessDenied as error:
            if feedback.is_pressed:
                self._notices.refuse(feedback, str(error))
            return ""
        deliveries = self._services.deliveries
        turn = await deliveries.turn_of_message(feedback.place, feedback.message_id)
        if turn is None:
            return GONE
        if feedback.reaction is not None and turn.message_id == feedback.message_id:
            return ""  # of the question, not of its answer
        before = await deliveries.vote_of(turn.id, feedback.person.id)
        if (vote := _vote(feedback, before)) == before:
            return ""
        await self._services.usage.write()  # the row of this answer may still be on its way
        if not await deliveries.rate(turn.id, feedback, vote):
            return ""
        if vote is None:
            return TAKEN_BACK
        return "" if before else _NOTED[vote.rating]


def _vote(feedback: Feedback, before: Vote | None) -> Vote | None:
    """The person's own vote from now on."""
    if feedback.rating:
        vote = Vote(feedback.rating, is_pressed=feedback.is_pressed)
        return None if feedback.is_pressed and vote == before else vote
    gone = rating_of(feedback.reaction or "")
    return before if before and gone not in (0, before.rating) else None
