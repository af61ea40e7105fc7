"""The events of one stream: what is sent is what its reader lacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

from adapters.web.context import PageContext
from adapters.web.feed import (
    Seen,
    SharedPage,
    SharedPages,
    digest_of,
    event,
    num_equal,
    settled_state,
    unfinished,
)
from adapters.web.shapes import Form, Json, stage, summary
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

_LONG_REASONING = 2_000
_REASONING_SECONDS = 1.0
"""Reasoning is sent whole, so a long one is sent less often."""


@dataclass(slots=True)
class _Told:
    """What the reader has of an answer that grows. ``page`` is kept alive by whoever reads it."""

    turn_id: str
    page: SharedPage
    stage: Json = field(default_factory=dict)
    parts: Sequence[str] = ()
    """Blocks of HTML, or the letters of a text."""
    reasoning: str = ""
    reasoning_at: float = float("-inf")


class Telling:
    """Of the owner's list, and of ``chat`` if one is watched. Slow to make of a long one.

    ``is_behind``: the newest state of an answer was not sent, because it comes too soon.
    """

    def __init__(
        self, context: PageContext, pages: SharedPages, chat: Chat | None, form: Form
    ) -> None:
        self._context = context
        self._pages = pages
        self._form: Form = form
        self._turns = {turn.id: turn for turn in chat.turns} if chat else {}
        self._chat_id = chat.summary.id if chat else None
        self._window = chat.window if chat else 0
        self._told: _Told | None = None
        self.is_behind = False
        self._shapes = context.shapes(form, self._turns.values())
        self._settle()

    def chats(self, chats: Sequence[ChatSummary]) -> bytes:
        """The list anew, for a reader that may have missed what changed in it."""
        return self._event("chats", {"chats": [summary(chat) for chat in chats]})

    def gone(self, chat_id: str) -> bytes:
        if chat_id == self._chat_id:
            self._turns.clear()
            self._told = None
        return self._event("gone", {"id": chat_id})

    async def catch_up(self, seen: Seen | None) -> AsyncIterator[bytes]:
        """What the reader lacks. Without ``seen`` it has just read the chat, or is about to."""
        turns = [*self._turns.values()]
        missed = {turn.id for turn in turns[-1:]}
        if seen:
            missed = {turn.id for turn in turns if seen.settled != self._settled}
        growing = {turn.id for turn in unfinished(turns)} - missed
        brief = self._shapes.brief(turns)
        for turn in turns:
            if turn.id in missed:
                yield await self._whole(turn, is_brief=turn.id in brief)
            elif turn.id in growing:
                yield await self._rest(turn, seen) or await self._whole(turn)

    async def event(self, found: ChatEvent) -> bytes:
        """Nothing if the reader knows it already."""
        match found:
            case ChatChanged(chat):
                return self._event("chat", summary(chat))
            case ChatForgotten(chat_id):
                return self.gone(chat_id)
            case TurnChanged(turn):
                self._turns[turn.id] = turn
                self._shapes = self._shapes.knowing(self._context.shapes(self._form, [turn]))
                self._settle()
                return await self._whole(turn)
            case AnswerGrew(turn_id, growing):
                return await self._grown(self._told_of(turn_id), growing)
        assert_never(found)

    def _settle(self) -> None:
        turns = self._turns.values()
        self._settled = digest_of(state for each in turns if (state := settled_state(each)))

    def _told_of(self, turn_id: str) -> _Told:
        if self._told is None or self._told.turn_id != turn_id:
            turn = self._turns.get(turn_id)
            number = len(turn.answers) + 1 if turn else 1
            self._told = _Told(turn_id, self._pages.of(turn_id, number, self._shapes.links))
        return self._told

    async def _whole(self, turn: ChatTurn, *, is_brief: bool = False) -> bytes:
        """The reader has all of the turn then, but for the texts of one that is brief."""
        if self._told and self._told.turn_id == turn.id:
            self._told = None
        parts: Sequence[str] | None = None
        if growing := turn.growing:
            told = self._told_of(turn.id)
            parts = told.parts = await self._parts(told, growing.reply, is_urgent=True)
            told.stage, told.reasoning = stage(growing), growing.reasoning
        whole = partial(self._shapes.turn, turn, self._window, parts, is_brief=is_brief)
        data = await asyncio.to_thread(whole)
        return self._event("turn", data)

    async def _rest(self, turn: ChatTurn, seen: Seen | None) -> bytes:
        """What follows the beginning that the reader has; nothing if it has another one."""
        if seen is None or seen.turn_id != turn.id or turn.growing is None:
            return b""
        told = self._told_of(turn.id)
        parts = await self._parts(told, turn.growing.reply, is_urgent=True)
        told.parts = parts[: seen.num]
        if _digest(told.parts) != seen.digest:
            return b""
        return await self._grown(told, turn.growing)

    async def _parts(self, told: _Told, reply: str, *, is_urgent: bool = False) -> Sequence[str]:
        if self._form == "markdown":
            return reply
        blocks, is_newest = await told.page.blocks(reply, is_urgent=is_urgent)
        self.is_behind = not is_newest
        return blocks

    async def _grown(self, told: _Told, growing: GrowingAnswer) -> bytes:
        parts = await self._parts(told, growing.reply)
        kept = num_equal(told.parts, parts)
        reasoning = self._reasoning(told, growing)
        is_same = kept == len(parts) == len(told.parts) and stage(growing) == told.stage
        if is_same and not reasoning:
            return b""
        told.parts, told.stage = parts, stage(growing)
        news: Json = {"at": kept, "text": parts[kept:]}
        if self._form == "html":
            news = {"from": kept, "blocks": parts[kept:]}
        return self._event("grow", {"turn": told.turn_id, **told.stage, **news, **reasoning})

    def _reasoning(self, told: _Told, growing: GrowingAnswer) -> Json:
        """What is new of it; of a long one not at every update while it goes on."""
        now, text = self._context.clock.monotonic(), growing.reasoning
        is_soon = now - told.reasoning_at < _REASONING_SECONDS
        is_long = growing.stage == "thinking" and len(text) > _LONG_REASONING
        is_put_off = is_long and is_soon and self._form == "html"
        if text == told.reasoning or is_put_off:
            return {}
        kept = num_equal(told.reasoning, text)
        told.reasoning, told.reasoning_at = text, now
        if self._form == "markdown":
            return {"reasoning_at": kept, "reasoning": text[kept:]}
        return {"reasoning": text}

    def _event(self, name: str, data: Json) -> bytes:
        seen = Seen(self._settled)
        if told := self._told:
            num = len(told.parts) - (1 if self._form == "html" and told.parts else 0)
            seen = Seen(self._settled, told.turn_id, num, _digest(told.parts[:num]))
        return event(name, data, seen)


def _digest(parts: Sequence[str]) -> str:
    return digest_of([parts] if isinstance(parts, str) else parts)
