"""What happens to a message after it was sent: stopped, edited, deleted, judged."""

from __future__ import annotations

from bot.commands import NOT_YOURS
from bot.errors import AccessDenied, OverLimit
from bot.prompt import clean
from bot.turns.live import LiveTurn
from bot.turns.message_locks import MessageLocks
from bot.turns.notices import Notices
from bot.turns.parts import Parts
from bot.turns.registry import Turns
from bot.turns.stop import means_stop
from bot.types import Feedback, QuestionDeleted, QuestionEdited, StopRequest


class Changes:
    def __init__(self, parts: Parts, turns: Turns, notices: Notices, locks: MessageLocks) -> None:
        self._parts = parts
        self._turns = turns
        self._notices = notices
        self._locks = locks

    async def stop(self, request: StopRequest) -> None:
        """No access list is asked: who may not ask any more may still stop what is theirs."""
        if not self._means_stop(request):
            return
        async with self._locks.hold(request.place, request.message_id):
            turn = await self._parts.store.turn_of_message(request.place, request.message_id)
            live = self._turns.lanes.find(turn.id) if turn else None
            if live is None or not self._may_stop(live, request):
                return
            if await self._parts.store.accept_event(request):
                self._turns.stop(live)

    async def delete(self, deleted: QuestionDeleted) -> None:
        """Whoever could delete the question may stop its reply; what is shown of it stays."""
        async with self._locks.hold(deleted.place, deleted.message_id):
            turn = await self._parts.store.turn_of_message(deleted.place, deleted.message_id)
            if turn is None or turn.message_id != deleted.message_id:
                return
            if live := self._turns.lanes.find(turn.id):
                self._turns.stop(live)

    async def edit(self, edited: QuestionEdited) -> None:
        text = clean(edited.text).strip()
        if not (text and self._is_allowed(edited)):
            return
        async with self._locks.hold(edited.place, edited.message_id):
            turn = await self._parts.store.turn_of_message(edited.place, edited.message_id)
            if turn is None or turn.message_id != edited.message_id:
                return
            if turn.text == text:
                return
            if turn.person.id == edited.person.id and await self._parts.store.accept_event(edited):
                try:
                    await self._turns.edit(turn, text)
                except OverLimit as error:
                    self._notices.tell(edited, str(error))

    async def rate(self, feedback: Feedback) -> None:
        turn = await self._parts.store.turn_of_message(feedback.place, feedback.message_id)
        if turn and self._is_allowed(feedback) and await self._parts.store.accept_event(feedback):
            await self._parts.store.rate(turn.id, feedback.rating)

    def _may_stop(self, live: LiveTurn, request: StopRequest) -> bool:
        """Who presses a button is told why nothing happens; a reaction may mean anything."""
        if self._turns.may_decide(live.turn, request.person):
            return True
        if request.reaction is None:
            self._notices.whisper(request, NOT_YOURS)
        return False

    def _means_stop(self, request: StopRequest) -> bool:
        """A button can mean nothing else."""
        if request.reaction is None:
            return True
        meant = self._parts.rules.stop_reactions.get(request.place.adapter, ())
        return means_stop(request.reaction, meant)

    def _is_allowed(self, incoming: QuestionEdited | Feedback) -> bool:
        try:
            self._parts.access.check(incoming.place, incoming.person, is_direct=False)
        except AccessDenied:
            return False
        return True
