"""What the page and the terminal call: chats whose turns go on while nobody looks."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from bot.attachments.uploads import attachment_of
from bot.chat.directory import ChatDirectory
from bot.chat.turn import WatchedTurn
from bot.chat.views import ChatViews
from bot.chat.watches import Watch, Watches
from bot.chats import ADAPTER, Chat, ChatSummary, ChatTurn, Owner, Upload
from bot.errors import (
    AccessDenied,
    EmptyQuestion,
    RequestError,
    StorageError,
    UnknownChat,
)
from bot.prompt import clean
from bot.stored import AnsweredTurn, Turn
from bot.turns.handling import Handling
from bot.turns.inputs import InputLoader
from bot.turns.queues import AdmissionQueue
from bot.turns.registry import Turns
from bot.turns.services import ContextTrimmer, Services
from bot.types import Place, Question

_ONLY_NEWEST = "Only the newest question of a chat can be answered once more."
_UNDER_WAY = "This is being answered; please wait for the answer, or stop it."

Make = Callable[[], Awaitable[WatchedTurn | None]]
"""Puts a turn on disk, but for one that is there."""


class ChatService:
    """Implements ``bot.chats.Chats``. ``revive`` takes up a turn that a process left unfinished."""

    def __init__(
        self,
        services: Services,
        turns: Turns,
        admissions: AdmissionQueue,
        trimmer: ContextTrimmer,
        handling: Handling,
        loader: InputLoader,
    ) -> None:
        self._services = services
        self._loader = loader
        self._turns = turns
        self._handling = handling
        self._watches = Watches(services.metrics)
        self._directory = ChatDirectory(services, turns, self._watches)
        self._views = ChatViews(services, self._watches, self._directory.summary)
        self._reviving: set[str] = set()
        self.revive = partial(
            WatchedTurn, services, admissions, trimmer, self._watches, loader.load
        )

    def close(self) -> None:
        """Every watch ends."""
        self._watches.close()

    async def chats(self, owner: Owner, search: str = "") -> Sequence[ChatSummary]:
        return await self._directory.summaries(owner, search)

    async def chat(self, owner: Owner, chat_id: str) -> Chat:
        return await self._views.chat(owner.place(chat_id))

    async def turn(self, owner: Owner, turn_id: str) -> ChatTurn:
        asked = await self._own(owner, turn_id)
        return await self._views.shown(asked)

    async def ask(
        self,
        owner: Owner,
        chat_id: str | None,
        text: str,
        *,
        files: Sequence[Upload] = (),
        personality: str | None = None,
        key: str = "",
    ) -> tuple[str, ChatTurn]:
        if key and (before := await self._asked_before(owner, key)):
            return before
        if chat_id is not None and await self._directory.summary(owner.place(chat_id)) is None:
            raise UnknownChat
        place = owner.place(chat_id or uuid.uuid4().hex)
        text = clean(text).strip() if files else _asked(text)
        question = self._question(owner, place, text, personality, files, key)
        ask = partial(self._ask, question, files, is_known=chat_id is not None)
        await self._handling.run(self._enter(owner, place, ask))
        asked = await self._asked_before(owner, question.message_id)
        if asked is None:
            raise UnknownChat
        return asked

    async def retry(self, owner: Owner, turn_id: str) -> None:
        asked = await self._newest(owner, turn_id)
        await self._handling.run(self._again(owner, asked))

    async def go_on(self, owner: Owner, turn_id: str) -> None:
        asked = await self._newest(owner, turn_id)
        answer = asked.answer(asked.chosen)
        if answer is None or not answer.can_continue:
            raise RequestError("This answer has come to its end; there is nothing to continue.")
        await self._handling.run(self._again(owner, asked, continued=answer.number))

    async def edit(self, owner: Owner, turn_id: str, text: str) -> str:
        turn = (await self._own(owner, turn_id)).turn
        has_files = bool(turn.files or turn.unread.attachments)
        text = clean(text).strip() if has_files else _asked(text)
        if not await self._is_newest(turn):
            return await self._handling.run(self._branch(owner, turn, text))
        await self._handling.run(self._edit(owner, turn_id, text))
        return turn.place.thread

    async def choose(self, owner: Owner, turn_id: str, number: int) -> None:
        asked = await self._own(owner, turn_id)
        if asked.answer(number) is None:
            raise UnknownChat
        if not await self._services.answers.choose_answer(turn_id, number):
            raise RequestError(_UNDER_WAY)
        self._watches.changed(asked.turn.place, turn_id)

    async def rate(self, owner: Owner, turn_id: str, rating: int) -> None:
        asked = await self._own(owner, turn_id)
        if asked.answer(asked.chosen) is None:
            raise RequestError(_UNDER_WAY)
        await self._services.answers.rate_answer(turn_id, asked.chosen, rating)
        self._watches.changed(asked.turn.place, turn_id)

    async def stop(self, owner: Owner, turn_id: str) -> None:
        await self._own(owner, turn_id)
        if live := self._turns.queues.find(turn_id):
            self._turns.stop(live)

    async def rename(self, owner: Owner, chat_id: str, title: str) -> None:
        await self._directory.rename(owner.place(chat_id), title)

    async def set_personality(self, owner: Owner, chat_id: str, name: str) -> None:
        await self._directory.set_personality(owner.place(chat_id), name)

    async def forget_chat(self, owner: Owner, chat_id: str) -> None:
        await self._handling.run(self._directory.forget(owner.place(chat_id)))

    def note_pruned(self, place: Place) -> None:
        """Turns of the chat, or all of it, are gone."""
        self._watches.changed_chat(place)

    async def add_chat(self, owner: Owner, chat: Chat) -> str:
        return await self._handling.run(self._directory.add(owner, chat))

    def watch(self, owner: Owner, chat_id: str | None) -> Watch:
        place = owner.place(chat_id or "")
        return self._watches.begin(place, chat_id, partial(self._views.event, place))

    async def _asked_before(self, owner: Owner, key: str) -> tuple[str, ChatTurn] | None:
        found = await self._services.deliveries.turn_of_message(owner.place(""), key)
        turn = None if found is None else await self._views.turn(found.id)
        return None if found is None or turn is None else (found.place.thread, turn)

    async def _own(self, owner: Owner, turn_id: str) -> AnsweredTurn:
        """Raises ``UnknownChat``."""
        asked = await self._services.answers.answered_turn(turn_id)
        here = owner.place("").channel_form
        if asked is None or asked.turn.place.channel_form != here:
            raise UnknownChat
        return asked

    async def _newest(self, owner: Owner, turn_id: str) -> AnsweredTurn:
        """A turn that may be answered once more."""
        asked = await self._own(owner, turn_id)
        if not asked.turn.state.is_finished:
            raise RequestError(_UNDER_WAY)
        if not await self._is_newest(asked.turn):
            raise RequestError(_ONLY_NEWEST)
        return asked

    async def _is_newest(self, turn: Turn) -> bool:
        turns = await self._services.progress.turns(turn.place)
        return not any(each.number > turn.number for each in turns)

    async def _enter(self, owner: Owner, place: Place, make: Make) -> None:
        """Raises ``AccessDenied`` and ``OverLimit``."""
        try:
            self._services.access.check(place, owner.person, is_direct=False)
        except AccessDenied:
            self._services.metrics.refusals.labels(ADAPTER, "true").inc()
            raise
        await self._turns.enter(make, str(place), owner.person, "chat")

    async def _ask(
        self, question: Question, files: Sequence[Upload], *, is_known: bool
    ) -> WatchedTurn | None:
        """None if it was asked before, or its chat was forgotten meanwhile."""
        speaker = question.personality or await self._speaker(question.place)
        kept = await self._services.uploads.keep(question.place, files)
        try:
            question = replace(question, attachments=kept)
            stored = await self._services.answers.ask(question, speaker, is_known=is_known)
        except StorageError:
            await self._services.uploads.drop(kept)
            raise
        if stored is None:
            await self._services.uploads.drop(kept)
            return None
        return self.revive(stored, admitted=True)

    async def _again(
        self,
        owner: Owner,
        asked: AnsweredTurn,
        *,
        text: str | None = None,
        continued: int | None = None,
    ) -> None:
        turn = asked.turn
        if turn.id in self._reviving or self._turns.queues.find(turn.id):
            raise RequestError(_UNDER_WAY)
        self._reviving.add(turn.id)
        answer = asked.answer(continued) if continued is not None else None
        try:
            speaker = answer.personality if answer else await self._speaker(turn.place)
            ask = partial(
                self._services.answers.ask_again,
                turn.id,
                personality=speaker,
                text=text,
                continued=continued,
            )
            await self._enter(owner, turn.place, partial(self._revive, ask))
        finally:
            self._reviving.discard(turn.id)

    async def _edit(self, owner: Owner, turn_id: str, text: str) -> None:
        if live := self._turns.queues.find(turn_id):
            self._turns.stop(live)
            await live.ended.wait()
        await self._again(owner, await self._newest(owner, turn_id), text=text)

    async def _branch(self, owner: Owner, turn: Turn, text: str) -> str:
        """The id of the new chat."""
        if not turn.state.is_finished:
            raise RequestError(_UNDER_WAY)
        services = self._services
        chosen = await services.thread_settings.personality(turn.place)
        personality = services.personality_named(chosen).name if chosen else None
        place = owner.place(uuid.uuid4().hex)
        question = self._question(owner, place, text, personality)
        speaker = personality or services.rules.personality

        async def make() -> WatchedTurn:
            stored = await services.answers.branch(turn.id, question, speaker)
            if stored is None:
                raise UnknownChat
            return self.revive(stored, admitted=True)

        await self._enter(owner, place, make)
        return place.thread

    async def _revive(self, ask: Callable[[], Awaitable[Turn]]) -> WatchedTurn:
        try:
            return self.revive(await ask(), admitted=True)
        except LookupError:
            raise UnknownChat from None

    async def _speaker(self, place: Place) -> str:
        chosen = await self._services.thread_settings.personality(place)
        return chosen or self._services.rules.personality

    def _question(
        self,
        owner: Owner,
        place: Place,
        text: str,
        personality: str | None,
        files: Sequence[Upload] = (),
        key: str = "",
    ) -> Question:
        """Raises ``UnknownPersonality``, and ``EmptyQuestion`` if no file can be read either."""
        if personality is not None:
            personality = self._services.personalities.get(personality).name
        message_id = key or uuid.uuid4().hex
        question = Question(
            event_id=message_id,
            place=place,
            person=owner.person,
            text=text,
            message_id=message_id,
            sent_at=self._services.clock.now(),
            is_direct=True,
            personality=personality,
            attachments=tuple(map(attachment_of, files)),
        )
        if not question.text and (why := self._loader.why_empty(question)):
            raise EmptyQuestion(" ".join(why))
        return question


def _asked(text: str) -> str:
    """Raises ``EmptyQuestion``."""
    if question := clean(text).strip():
        return question
    raise EmptyQuestion("There is no question in this.")
