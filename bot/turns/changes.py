"""Events of a message that was sent before: stop, edit, delete, feedback."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.errors import AccessDenied, OverLimit
from bot.prompt import clean
from bot.stored import Turn
from bot.turns.commands import Commands
from bot.turns.live import LiveTurn
from bot.turns.notices import NOT_YOURS, Notices
from bot.turns.questions import QuestionHandler
from bot.turns.queues import MessageLocks
from bot.turns.reactions import means_stop
from bot.turns.registry import Turns
from bot.turns.services import Services
from bot.turns.spoken import command_in
from bot.turns.votes import Votes
from bot.types import Command, Question, QuestionDeleted, QuestionEdited, StopRequest

_FRESH = timedelta(days=1)
"""As long as it is known of what was answered and forgotten that it was answered."""


class Changes:
    """Each event counts once, and is handled in order with the other events of its message."""

    def __init__(
        self,
        services: Services,
        turns: Turns,
        commands: Commands,
        questions: QuestionHandler,
        notices: Notices,
        locks: MessageLocks,
    ) -> None:
        self._services = services
        self._turns = turns
        self._commands = commands
        self._questions = questions
        self._notices = notices
        self._locks = locks
        self.votes = Votes(services, notices, locks)

    async def stop(self, request: StopRequest) -> None:
        """Access lists do not apply: people who may not ask any more may still stop their turns."""
        if not self._means_stop(request):
            await self.votes.react(request)
            return
        async with self._locks.hold(request.place, request.message_id):
            turn = await self._services.deliveries.turn_of_message(
                request.place, request.message_id
            )
            live = self._turns.queues.find(turn.id) if turn else self._unrecorded(request)
            if live is None or not self._may_stop(live, request):
                return
            if await self._services.deliveries.accept_event(request):
                self._turns.stop(live)

    async def delete(self, deleted: QuestionDeleted) -> None:
        """Deleting a question stops its reply; the text shown so far stays. A remark goes."""
        async with self._locks.hold(deleted.place, deleted.message_id):
            turn = await self._services.deliveries.turn_of_message(
                deleted.place, deleted.message_id
            )
            if turn is None:
                self._questions.early.note(deleted)
                await self._services.deliveries.note_deleted(deleted.place, deleted.message_id)
            elif turn.message_id == deleted.message_id and (
                live := self._turns.queues.find(turn.id)
            ):
                self._turns.stop(live)

    async def edit(self, edited: QuestionEdited) -> None:
        """A message that is no turn is taken as if it were new."""
        if isinstance(edited.becomes, StopRequest):
            await self.stop(edited.becomes)
            return
        async with self._locks.hold(edited.place, edited.message_id):
            turn = await self._services.deliveries.turn_of_message(edited.place, edited.message_id)
            if turn is None:
                await self._take_as_new(edited)
            elif turn.message_id == edited.message_id and turn.person.id == edited.person.id:
                await self._edit(turn, edited)

    async def _take_as_new(self, edited: QuestionEdited) -> None:
        """Once it counts, the edit is noted: delivered again, it must not undo a newer one."""
        self._questions.early.note(edited)
        match edited.becomes:
            case Question() as question if await self._is_news(question):
                if await self._questions.take_held(question):
                    await self._services.deliveries.accept_event(edited)
            case Command() as command:
                await self._commands.take(command)

    async def _is_news(self, question: Question) -> bool:
        """Whether an answer is due to a message that is no turn, and may be old.

        What is older than a day may have been answered and forgotten; and what people said in
        a thread before Parley took part in it was not for Parley.
        """
        if self._services.clock.now() - question.sent_at > _FRESH:
            return False
        if question.is_mention or question.is_direct:
            return True
        turns = await self._services.progress.turns(question.place)
        return bool(turns) and turns[0].accepted_at <= question.sent_at

    async def _edit(self, turn: Turn, edited: QuestionEdited) -> None:
        """A question that became a command is one no more: it is not answered, nor again."""
        message = edited.becomes if isinstance(edited.becomes, Question) else edited
        text = clean(message.text).strip()
        if not text or text == turn.text or not self._is_allowed(edited):
            return
        if not await self._services.deliveries.accept_event(edited):
            return
        command = command_in(text, replace(message, place=turn.place), turn.message_id)
        if command is None:
            await self._ask_anew(turn, edited, text)
            return
        await self._turns.withdraw(turn, text)
        if await self._commands.note(command):
            await self._commands.run(command)

    async def _ask_anew(self, turn: Turn, edited: QuestionEdited, text: str) -> None:
        try:
            await self._turns.edit(turn, text)
        except OverLimit as error:
            self._notices.tell(edited, str(error))

    def _unrecorded(self, request: StopRequest) -> LiveTurn | None:
        """What is pressed under a message that is not on disk yet means its thread's newest turn.

        A process that is killed may leave such a message behind.
        """
        if request.reaction is not None:
            return None
        live = [
            each for each in self._turns.queues.of_thread(request.place) if not each.is_given_up
        ]
        own = [each for each in live if each.turn.person.id == request.person.id]
        return next(iter((own or live)[::-1]), None)

    def _may_stop(self, live: LiveTurn, request: StopRequest) -> bool:
        """Who may not is told so; who only reacted, where nobody else reads it."""
        if self._turns.may_decide(live.turn, request.person):
            return True
        if request.reaction is None or self._notices.can_whisper_unasked(request):
            place = request.place if request.place.thread else live.place
            self._notices.whisper(replace(request, place=place), NOT_YOURS)
        return False

    def _means_stop(self, request: StopRequest) -> bool:
        """A button always does; a reaction does if the settings list it."""
        if request.reaction is None:
            return True
        meant = self._services.rules.stop_reactions.get(request.place.adapter, ())
        return means_stop(request.reaction, meant)

    def _is_allowed(self, incoming: QuestionEdited) -> bool:
        try:
            self._services.access.check(incoming.place, incoming.person, is_direct=False)
        except AccessDenied:
            return False
        return True
