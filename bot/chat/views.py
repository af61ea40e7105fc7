"""Chats as their owner sees them: what is on disk, and what is on its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.chat.records import shown
from bot.chat.turn import WatchedTurn
from bot.chat.watches import News, Watches
from bot.chats import (
    AnswerGrew,
    Chat,
    ChatChanged,
    ChatEvent,
    ChatForgotten,
    ChatSummary,
    ChatTurn,
    GrowingAnswer,
    TurnChanged,
)
from bot.errors import EngineFailed, UnknownChat
from bot.stored import AnsweredTurn
from bot.turns.services import Services
from bot.types import Place

Summary = Callable[[Place], Awaitable[ChatSummary | None]]
"""``ChatDirectory.summary``."""


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
        is_over = asked.turn.state.is_finished
        return shown(asked, None if is_over else _growing(asked, live))

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


def _growing(asked: AnsweredTurn, live: WatchedTurn | None) -> GrowingAnswer:
    """Parley may be stopping: then it waits on disk."""
    waiting = GrowingAnswer(stage="queued", personality=asked.personality)
    growing = waiting if live is None else live.growing
    return replace(growing, number=asked.next_number)
