"""Messages of people: each becomes a turn on disk, a command, a remark, or one sentence."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import partial

from bot.capabilities import Capabilities
from bot.errors import (
    AccessDenied,
    OverLimit,
    UnknownPersonality,
)
from bot.ports import Clock
from bot.prompt import clean
from bot.stored import Turn
from bot.turns.commands import Commands
from bot.turns.inputs import InputLoader
from bot.turns.notices import Notices
from bot.turns.queues import MessageLocks, key_of
from bot.turns.registry import Turns
from bot.turns.services import Services
from bot.turns.spoken import command_in, reading_of
from bot.types import (
    Incoming,
    Place,
    Question,
    QuestionDeleted,
    QuestionEdited,
)

EMPTY = "I see no question in this; please write one after my name."

_REMEMBERED_SECONDS = 600.0
"""Slack delivers a question for the last time some six minutes after it was sent."""

_MAX_REMEMBERED = 2_000


class EarlyChanges:
    """Edits and deletions of messages that are no turns: one may have overtaken its question.

    They are remembered for some minutes, the newest ``_MAX_REMEMBERED``. What is deleted stays so.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_message: OrderedDict[str, tuple[float, QuestionEdited | QuestionDeleted]]
        self._by_message = OrderedDict()

    def note(self, change: QuestionEdited | QuestionDeleted) -> None:
        if isinstance(self.find(change.place, change.message_id), QuestionDeleted):
            return
        key = key_of(change.place, change.message_id)
        self._by_message[key] = self._clock.monotonic(), change
        self._by_message.move_to_end(key)
        if len(self._by_message) > _MAX_REMEMBERED:
            self._by_message.popitem(last=False)

    def find(self, place: Place, message_id: str) -> QuestionEdited | QuestionDeleted | None:
        noted_at, change = self._by_message.get(key_of(place, message_id), (0.0, None))
        return change if self._clock.monotonic() - noted_at < _REMEMBERED_SECONDS else None


class QuestionHandler:
    """Turns a message into a turn on disk, or into one sentence of why not.

    A message may come twice, even at once, and even as two kinds of event: it counts once. An
    edit that makes it another message (a command, or a question again) is another event.
    """

    def __init__(
        self,
        services: Services,
        turns: Turns,
        commands: Commands,
        notices: Notices,
        loader: InputLoader,
        locks: MessageLocks,
    ) -> None:
        self._services = services
        self._turns = turns
        self._commands = commands
        self._notices = notices
        self._locks = locks
        self._loader = loader
        self.early = EarlyChanges(services.clock)

    async def take(self, question: Question) -> None:
        """Returns once the question is on disk; nothing of a refused person is stored."""
        async with self._locks.hold(question.place, question.message_id):
            await self.take_held(question)

    async def take_held(self, question: Question) -> bool:
        """For a caller that holds the message's lock; False if the message is not for Parley."""
        change = self.early.find(question.place, question.message_id)
        if isinstance(change, QuestionDeleted):
            return False
        if change is not None:
            question = _as_edited(question, change)
        if not (await self._is_ours(question) and self._is_allowed(question)):
            return False
        await self._take_once(replace(question, text=clean(question.text).strip()))
        return True

    async def _is_ours(self, question: Question) -> bool:
        if question.person.is_bot:
            return question.is_mention and not await self._has_spoken(question)
        if _is_addressed(question):
            return True
        if question.begins_thread:
            is_heard = self._services.listening.hears(question.place)
            return is_heard and not question.mentions_others
        return await self._services.deliveries.knows(question.place)

    async def _has_spoken(self, question: Question) -> bool:
        """Each bot asks once in a thread: no two of them answer each other for ever."""
        speakers = await self._services.directory.speakers(question.place)
        return question.person.id in speakers

    def _is_allowed(self, question: Question) -> bool:
        """Only a person who addressed Parley is told of the refusal."""
        try:
            self._services.access.check(
                question.place, question.person, is_direct=question.is_direct
            )
            if question.barred:
                raise AccessDenied(question.barred)
        except AccessDenied as error:
            if _is_addressed(question):
                self._notices.refuse(question, str(error))
            return False
        return True

    async def _take_once(self, question: Question) -> None:
        place, message_id = question.place, question.message_id
        if await self._services.deliveries.turn_of_message(place, message_id) is not None:
            return
        if question.mentions_others and not _is_addressed(question):
            await self._services.deliveries.add_remark(question)
        elif command := command_in(question.text, question, message_id):
            if not question.person.is_bot and await self._commands.note(command):
                await self._commands.run(command)
        elif not question.text and (why := self._why_empty(question)):
            if _is_addressed(question):
                await self._say_once(question, why)
        else:
            try:
                await self._turns.begin(place, question.person, partial(self.store, question))
            except (OverLimit, UnknownPersonality) as error:
                await self._say_once(question, str(error))

    def _why_empty(self, question: Question) -> str:
        return " ".join(self._loader.why_empty(question)) if question.attachments else EMPTY

    async def store(self, question: Question) -> Turn | None:
        """None if it was stored before. Raises ``UnknownPersonality``."""
        if question.personality is not None:
            await self._choose_personality(question.place, question.personality)
        wants_earlier = await self._wants_earlier(question)
        return await self._services.deliveries.accept(
            replace(question, wants_earlier=wants_earlier)
        )

    async def _wants_earlier(self, question: Question) -> bool:
        """At most once per thread, so that forgotten messages do not come back."""
        place, deliveries = question.place, self._services.deliveries
        adapter = self._services.adapters[place.adapter]
        earlier = Capabilities.of(adapter).earlier_messages
        if earlier is None:
            return False
        if not earlier.may_have_earlier(place, question.message_id) or await deliveries.knows(
            place
        ):
            return False
        first = Incoming(event_id=f"earlier {place}", place=place, person=question.person)
        return await deliveries.accept_event(first)

    async def _choose_personality(self, place: Place, name: str) -> None:
        names = self._services.personalities.names
        if name not in names:
            raise UnknownPersonality(name, names)
        await self._services.thread_settings.set_personality(place, name)

    async def _say_once(self, question: Question, text: str) -> None:
        if await self._services.deliveries.accept_event(_as_event(question)):
            self._notices.tell(question, text)


def _is_addressed(question: Question) -> bool:
    return question.is_mention or question.is_direct


def _as_edited(question: Question, edited: QuestionEdited) -> Question:
    """As if the edit had come after the question, which decides whom it addresses."""
    now = edited.becomes
    if isinstance(now, Question):
        return replace(question, text=now.text, attachments=now.attachments)
    return replace(question, text=edited.text) if edited.text.strip() else question


def _as_event(question: Question) -> Incoming:
    """One event for all deliveries of the message as it reads, whatever their event ids."""
    reading = reading_of(question.place, question.message_id, question.text)
    return replace(question, event_id=reading)
