"""Chats as their owner sees them: what is on disk, and what is on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields

from bot.chat.turn import WatchedTurn
from bot.chat.watches import News, Watches
from bot.chats import (
    AnswerGrew,
    Chat,
    ChatAnswer,
    ChatChanged,
    ChatEvent,
    ChatForgotten,
    ChatSummary,
    ChatTurn,
    GrowingAnswer,
    TurnChanged,
)
from bot.errors import EngineFailed, UnknownChat
from bot.generation import FinishReason
from bot.stores import AnsweredTurn, StoredAnswer, TurnState
from bot.turns.services import Services
from bot.types import Place

Summary = Callable[[Place], Awaitable[ChatSummary | None]]
"""``ChatDirectory.summary``."""

_UNENDED = (TurnState.STOPPED, TurnState.FAILED, TurnState.INTERRUPTED)


class ChatViews:
    def __init__(self, services: Services, watches: Watches, summary: Summary) -> None:
        self._services = services
        self._watches = watches
        self._summary = summary

    async def chat(self, place: Place) -> Chat:
        """Raises ``UnknownChat``."""
        turns = await self._services.answers.answered_turns(place)
        summary = await self._summary(place)
        if summary is None:
            raise UnknownChat
        personality = self._services.personality_named(summary.personality)
        try:
            generator = await self._services.generator_for(personality.model)
        except EngineFailed:
            generator = self._services.generator
        return Chat(
            summary=summary,
            turns=tuple([await self.shown(each) for each in turns]),
            model=generator.name,
            window=generator.window,
        )

    async def turn(self, turn_id: str) -> ChatTurn | None:
        asked = await self._services.answers.answered_turn(turn_id)
        return None if asked is None else await self.shown(asked)

    async def shown(self, asked: AnsweredTurn) -> ChatTurn:
        """A turn that ended between two looks is looked at once more."""
        live = self._watches.live(asked.turn.id)
        if live is None and not asked.turn.state.is_finished:
            asked = await self._services.answers.answered_turn(asked.turn.id) or asked
        return _shown(asked, live)

    async def event(self, place: Place, news: News) -> ChatEvent | None:
        """``place``: that of the chat that is watched, or any other of its owner."""
        kind, name = news
        if kind == "chat":
            chat = Place(place.adapter, place.workspace, place.channel, name)
            summary = await self._summary(chat)
            return ChatForgotten(name) if summary is None else ChatChanged(summary)
        if kind == "turn":
            turn = await self.turn(name)
            return None if turn is None else TurnChanged(turn)
        live = self._watches.live(name)
        return None if live is None else AnswerGrew(name, live.growing)


def _shown(asked: AnsweredTurn, live: WatchedTurn | None) -> ChatTurn:
    turn = asked.turn
    names = (each.name for each in turn.unread.attachments or turn.files)
    return ChatTurn(
        id=turn.id,
        number=turn.number,
        question=turn.text,
        asked_at=turn.accepted_at,
        answers=tuple(map(_answer, asked.answers)),
        chosen=asked.chosen,
        growing=None if turn.state.is_finished else _growing(asked, live),
        files=tuple(names),
        sources=turn.files,
        asked_by=turn.person.name,
        remarks=turn.remarks,
    )


def _growing(asked: AnsweredTurn, live: WatchedTurn | None) -> GrowingAnswer:
    """Parley may be stopping: then it waits on disk."""
    if live is not None:
        return live.growing
    return GrowingAnswer(stage="queued", personality=asked.personality)


def _answer(stored: StoredAnswer) -> ChatAnswer:
    same = {each.name: getattr(stored, each.name) for each in fields(stored)}
    return ChatAnswer(**same, can_continue=can_continue(stored))


def can_continue(answer: StoredAnswer) -> bool:
    is_cut_off = answer.state in _UNENDED or answer.reason is FinishReason.LENGTH
    return is_cut_off and bool(answer.reply.strip())
