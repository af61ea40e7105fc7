"""From a message on a platform to a turn on disk, or to one sentence of why not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bot.commands import Commands, command_of
from bot.errors import AccessDenied, OverLimit, UnknownPersonality
from bot.prompt import clean
from bot.turns.message_locks import MessageLocks, key_of
from bot.turns.notices import Notices
from bot.turns.parts import Parts
from bot.turns.reading import Reading
from bot.turns.registry import Turns
from bot.types import Incoming, Question, Turn

EMPTY = "I see no question in this; please write one after my name."


class Asking:
    """A message may come twice, even at once, and even as two kinds of event: it counts once."""

    def __init__(
        self,
        parts: Parts,
        turns: Turns,
        commands: Commands,
        notices: Notices,
        reading: Reading,
        locks: MessageLocks,
    ) -> None:
        self._parts = parts
        self._turns = turns
        self._commands = commands
        self._notices = notices
        self._locks = locks
        self._reading = reading

    async def take(self, question: Question) -> None:
        """Returns once the question is on disk; nothing of a refused person is."""
        if not await self._is_ours(question):
            return
        if not self._is_allowed(question):
            return
        question = replace(question, text=clean(question.text).strip())
        async with self._locks.hold(question.place, question.message_id):
            await self._take_once(question)

    async def _is_ours(self, question: Question) -> bool:
        return _is_addressed(question) or await self._parts.store.knows(question.place)

    def _is_allowed(self, question: Question) -> bool:
        """A refusal is said to who spoke to Parley, not to who spoke in its presence."""
        try:
            self._parts.access.check(question.place, question.person, is_direct=question.is_direct)
            if question.barred:
                raise AccessDenied(question.barred)
        except AccessDenied as error:
            if _is_addressed(question):
                self._notices.refuse(question, str(error))
            return False
        return True

    async def _take_once(self, question: Question) -> None:
        if question.mentions_others and not _is_addressed(question):
            await self._parts.store.add_remark(question)
        elif command := command_of(question):
            if await self._parts.store.accept_event(command):
                await self._commands.run(command)
        elif why := self._why_empty(question):
            await self._answer_empty(question, why)
        elif await self._parts.store.turn_of_message(question.place, question.message_id) is None:
            await self._accept(question)

    def _why_empty(self, question: Question) -> str:
        if question.text:
            return ""
        return " ".join(self._reading.why_empty(question)) if question.attachments else EMPTY

    async def _answer_empty(self, question: Question, why: str) -> None:
        if _is_addressed(question):
            await self._say_once(question, why)

    async def _accept(self, question: Question) -> None:
        try:
            await self._turns.begin(question.place, question.person, partial(self._store, question))
        except (OverLimit, UnknownPersonality) as error:
            await self._say_once(question, str(error))

    async def _store(self, question: Question) -> Turn | None:
        """None if it was stored before. Raises ``UnknownPersonality``."""
        await self._choose_personality(question)
        wants_earlier = await self._reading.wants_earlier(question)
        return await self._parts.store.accept(replace(question, wants_earlier=wants_earlier))

    async def _choose_personality(self, question: Question) -> None:
        if question.personality is None:
            return
        if question.personality not in self._parts.personalities.names:
            raise UnknownPersonality(question.personality, tuple(self._parts.personalities.names))
        await self._parts.store.set_personality(question.place, question.personality)

    async def _say_once(self, question: Question, text: str) -> None:
        if await self._parts.store.accept_event(_as_event(question)):
            self._notices.tell(question, text)


def _is_addressed(question: Question) -> bool:
    return question.is_mention or question.is_direct


def _as_event(question: Question) -> Incoming:
    """One for all deliveries of the message, whatever their event ids."""
    return replace(question, event_id=key_of(question.place, question.message_id))
