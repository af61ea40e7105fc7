"""A page that somebody looks at: it asks, and shows what the watch of its chat says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, TypeVar

from bot.chats import (
    AnswerGrew,
    ChatAnswer,
    ChatChanged,
    ChatForgotten,
    ChatSummary,
    ChatTurn,
    ChatWatch,
    GrowingAnswer,
    Owner,
    TurnChanged,
)
from tests.bot.talk import StageClock, Talk
from tests.fakes.generator import ScriptedGeneration

T = TypeVar("T")

ADA = Owner("local", "ada")
BOB = Owner("local", "bob")


class Page:
    """``turns`` and ``chats`` are as the page shows them; ``growths`` all that it was told."""

    def __init__(self, talk: Talk, owner: Owner = ADA) -> None:
        self.talk = talk
        self.owner = owner
        self.chat_id: str | None = None
        self.turns: dict[str, ChatTurn] = {}
        self.chats: dict[str, ChatSummary] = {}
        self.growths: list[GrowingAnswer] = []
        self._watch: ChatWatch | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def port(self) -> Any:
        return self.talk.service.chats

    async def open(self, chat_id: str | None) -> None:
        """Watch it, and read what is there: so nothing is missed."""
        self.close()
        self.chat_id = chat_id
        self._watch = self.port.watch(self.owner, chat_id)
        self._reading = asyncio.create_task(self._read(self._watch))
        if chat_id is not None:
            chat = await self.port.chat(self.owner, chat_id)
            self.turns = {turn.id: turn for turn in chat.turns}

    def close(self) -> None:
        if self._reading is not None and self._watch is not None:
            self._reading.cancel()
            self._watch.close()
            self._reading = self._watch = None

    async def ask(self, text: str, *, chat: str | None = None, **options: Any) -> ChatTurn:
        """In the open chat, else in a new one, which is opened then."""
        chat_id, turn = await self.port.ask(self.owner, chat or self.chat_id, text, **options)
        if chat_id != self.chat_id:
            await self.open(chat_id)
        assert isinstance(turn, ChatTurn)
        return turn

    async def answered(self, text: str, reply: str, **options: Any) -> ChatTurn:
        self.talk.generator.replies.append(reply)
        turn = await self.ask(text, **options)
        await self.shows(turn.id)
        return self.turns[turn.id]

    async def shows(self, turn_id: str, num_answers: int = 1) -> ChatAnswer:
        """Until nothing of the turn grows any more; the chosen answer."""

        def has_ended() -> bool:
            turn = self.turns.get(turn_id)
            return turn is not None and turn.growing is None and len(turn.answers) >= num_answers

        await self.talk.until(has_ended)
        return chosen(self.turns[turn_id])

    async def led(self) -> ScriptedGeneration:
        return await self.talk.generation()

    async def sees(self, turn_id: str, reply: str) -> GrowingAnswer:
        """Until the growing answer reads so."""

        def is_there() -> bool:
            growing = self.turns[turn_id].growing
            return growing is not None and growing.reply == reply

        await self.talk.until(is_there)
        growing = self.turns[turn_id].growing
        assert growing is not None
        return growing

    async def stage(self, turn_id: str, stage: str) -> GrowingAnswer:
        def is_there() -> bool:
            turn = self.turns.get(turn_id)
            return turn is not None and turn.growing is not None and turn.growing.stage == stage

        await self.talk.until(is_there)
        growing = self.turns[turn_id].growing
        assert growing is not None
        return growing

    async def _read(self, watch: ChatWatch) -> None:
        async for event in watch:
            match event:
                case TurnChanged(turn):
                    self.turns[turn.id] = turn
                case AnswerGrew(turn_id, growing):
                    self.growths.append(growing)
                    if turn_id in self.turns:  # else it is still being fetched
                        self.turns[turn_id] = replace(self.turns[turn_id], growing=growing)
                case ChatChanged(summary):
                    self.chats[summary.id] = summary
                case ChatForgotten(chat_id):
                    self.chats.pop(chat_id, None)


def chosen(turn: ChatTurn) -> ChatAnswer:
    return next(each for each in turn.answers if each.number == turn.chosen)


async def soon(talk: Talk, work: Awaitable[T]) -> T:
    """While time passes."""
    task = asyncio.ensure_future(work)
    await talk.until(task.done)
    return task.result()


def watch_files(clock: StageClock, talk: Talk) -> None:
    """Time stands still while files are read."""
    clock.watch(talk.service._questions._loader._attachments, "read")
    clock.watch(talk.service._services.uploads, "drop", "keep", "forget")
