"""Chats in memory, whose answers grow as a test says. Strict: nobody sees another's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

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
    Owner,
    TurnChanged,
    Upload,
)
from bot.errors import EmptyQuestion, RequestError, UnknownChat
from bot.generation import FinishReason, Usage
from bot.stored import TurnState
from tests.fakes.clock import START

MODEL, WINDOW = "smollm2", 1_000
_USAGE = Usage(prompt_tokens=80, cached_tokens=20, completion_tokens=20)


class FakeWatch:
    """Every event, in its order: the real one leaves out what lay between."""

    def __init__(self, owner: Owner, chat_id: str | None) -> None:
        self.owner = owner
        self.chat_id = chat_id
        self.is_closed = False
        self._events: asyncio.Queue[ChatEvent | None] = asyncio.Queue()

    def put(self, event: ChatEvent) -> None:
        self._events.put_nowait(event)

    def close(self) -> None:
        self.is_closed = True
        self._events.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatEvent:
        event = await self._events.get()
        if self.is_closed or event is None:
            raise StopAsyncIteration
        return event


class FakeChats:
    """``uploads``, ``keys`` and ``refusal`` are for tests: what came along, and what is raised."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []
        self.keys: list[str] = []
        self.refusal: Exception | None = None
        self.may_ask = asyncio.Event()
        self.may_ask.set()
        self.is_asked = asyncio.Event()
        self._chats: dict[tuple[Owner, str], Chat] = {}
        self._watches: list[FakeWatch] = []
        self._num = 0

    async def chats(self, owner: Owner, search: str = "") -> Sequence[ChatSummary]:
        self._check()
        found = [chat for (whose, _), chat in self._chats.items() if whose == owner]
        texts = [(chat.summary, str(chat)) for chat in found]
        return [each for each, text in reversed(texts) if search in text]

    async def chat(self, owner: Owner, chat_id: str) -> Chat:
        self._check()
        return self._chat(owner, chat_id)

    async def turn(self, owner: Owner, turn_id: str) -> ChatTurn:
        return self._find(owner, turn_id)[1]

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
        self._check()
        self.keys.append(key)
        self.is_asked.set()
        await self.may_ask.wait()
        if not text.strip():
            raise EmptyQuestion("There is no question in this.")
        if chat_id is None:
            chat_id = self._new_id("chat")
            summary = ChatSummary(
                id=chat_id,
                title=text,
                personality=personality or "assistant",
                num_turns=0,
                last_at=START,
            )
            self._put(owner, Chat(summary=summary, turns=(), model=MODEL, window=WINDOW))
        chat = self._chat(owner, chat_id)
        self.uploads += files
        turn = ChatTurn(
            id=self._new_id("turn"),
            number=len(chat.turns) + 1,
            question=text,
            asked_at=START,
            growing=GrowingAnswer(stage="queued", place=1, wait=2.5),
            files=tuple(each.name for each in files),
        )
        self._keep(owner, chat_id, turn)
        return chat_id, turn

    async def retry(self, owner: Owner, turn_id: str) -> None:
        chat_id, turn = self._find(owner, turn_id)
        self._keep(owner, chat_id, replace(turn, growing=GrowingAnswer(stage="reading")))

    async def go_on(self, owner: Owner, turn_id: str) -> None:
        chat_id, turn = self._find(owner, turn_id)
        reply = turn.answers[turn.chosen - 1].reply
        growing = GrowingAnswer(stage="reading", reply=reply)
        self._keep(owner, chat_id, replace(turn, growing=growing))

    async def edit(self, owner: Owner, turn_id: str, text: str) -> str:
        chat_id, turn = self._find(owner, turn_id)
        growing = GrowingAnswer(stage="queued")
        self._keep(owner, chat_id, replace(turn, question=text, growing=growing))
        return chat_id

    async def choose(self, owner: Owner, turn_id: str, number: int) -> None:
        chat_id, turn = self._find(owner, turn_id)
        if number > len(turn.answers):
            raise UnknownChat
        self._keep(owner, chat_id, replace(turn, chosen=number))

    async def stop(self, owner: Owner, turn_id: str) -> None:
        self.end(owner, turn_id, state=TurnState.STOPPED)

    async def rate(self, owner: Owner, turn_id: str, rating: int) -> None:
        chat_id, turn = self._find(owner, turn_id)
        rated = [
            replace(each, rating=rating) if each.number == turn.chosen else each
            for each in turn.answers
        ]
        self._keep(owner, chat_id, replace(turn, answers=tuple(rated)))

    async def rename(self, owner: Owner, chat_id: str, title: str) -> None:
        chat = self._chat(owner, chat_id)
        self._put(owner, replace(chat, summary=replace(chat.summary, title=title)))

    async def set_personality(self, owner: Owner, chat_id: str, name: str) -> None:
        chat = self._chat(owner, chat_id)
        if name not in ("assistant", "coder"):
            raise RequestError(f"There is no personality {name!r}.")
        self._put(owner, replace(chat, summary=replace(chat.summary, personality=name)))

    async def forget_chat(self, owner: Owner, chat_id: str) -> None:
        self._chat(owner, chat_id)
        del self._chats[owner, chat_id]
        self._tell(owner, None, ChatForgotten(chat_id))

    async def add_chat(self, owner: Owner, chat: Chat) -> str:
        self._check()
        chat_id = self._new_id("chat")
        turns = tuple(replace(turn, id=self._new_id("turn")) for turn in chat.turns)
        summary = replace(chat.summary, id=chat_id)
        self._put(owner, replace(chat, summary=summary, turns=turns))
        return chat_id

    def watch(self, owner: Owner, chat_id: str | None) -> FakeWatch:
        watch = FakeWatch(owner, chat_id)
        self._watches.append(watch)
        return watch

    def close(self) -> None:
        for watch in self._watches:
            watch.close()

    @property
    def num_watches(self) -> int:
        return sum(not each.is_closed for each in self._watches)

    def grow(self, owner: Owner, turn_id: str, reply: str = "", *, reasoning: str = "") -> None:
        """The answer is ``reply`` by now."""
        chat_id, turn = self._find(owner, turn_id)
        growing = GrowingAnswer(
            stage="writing" if reply else "thinking",
            model=MODEL,
            personality="assistant",
            reply=reply,
            reasoning=reasoning,
        )
        self._replace(owner, chat_id, replace(turn, growing=growing))
        self._tell(owner, chat_id, AnswerGrew(turn_id, growing))

    def end(
        self,
        owner: Owner,
        turn_id: str,
        reply: str | None = None,
        *,
        state: TurnState | None = None,
    ) -> None:
        chat_id, turn = self._find(owner, turn_id)
        written = turn.growing.reply if turn.growing else ""
        number = len(turn.answers) + 1
        answer = ChatAnswer(
            number=number,
            question=turn.question,
            reply=written if reply is None else reply,
            reasoning=turn.growing.reasoning if turn.growing else "",
            state=state or TurnState.DONE,
            reason=FinishReason.CANCELLED if state else FinishReason.STOP,
            note="Stopped." if state else "",
            model=MODEL,
            personality="assistant",
            usage=_USAGE,
            first_token_seconds=0.5,
            total_seconds=2.4,
            finished_at=START,
            can_continue=state is not None,
        )
        answers = (*turn.answers, answer)
        self._keep(owner, chat_id, replace(turn, answers=answers, chosen=number, growing=None))

    def _check(self) -> None:
        if self.refusal:
            raise self.refusal

    def _new_id(self, kind: str) -> str:
        self._num += 1
        return f"{kind}{self._num}"

    def _chat(self, owner: Owner, chat_id: str) -> Chat:
        self._check()
        found = self._chats.get((owner, chat_id))
        if found is None:
            raise UnknownChat
        return found

    def _find(self, owner: Owner, turn_id: str) -> tuple[str, ChatTurn]:
        self._check()
        for (whose, chat_id), chat in self._chats.items():
            for turn in chat.turns:
                if whose == owner and turn.id == turn_id:
                    return chat_id, turn
        raise UnknownChat

    def _put(self, owner: Owner, chat: Chat) -> None:
        self._chats[owner, chat.summary.id] = chat
        self._tell(owner, None, ChatChanged(chat.summary))

    def _keep(self, owner: Owner, chat_id: str, turn: ChatTurn) -> None:
        self._replace(owner, chat_id, turn)
        self._tell(owner, chat_id, TurnChanged(turn))
        self._tell(owner, None, ChatChanged(self._chat(owner, chat_id).summary))

    def _replace(self, owner: Owner, chat_id: str, turn: ChatTurn) -> None:
        chat = self._chat(owner, chat_id)
        turns = {each.id: each for each in chat.turns} | {turn.id: turn}
        is_busy = any(each.growing for each in turns.values())
        summary = replace(chat.summary, num_turns=len(turns), is_busy=is_busy)
        self._chats[owner, chat_id] = replace(chat, turns=tuple(turns.values()), summary=summary)

    def _tell(self, owner: Owner, chat_id: str | None, event: ChatEvent) -> None:
        for watch in self._watches:
            if watch.owner == owner and chat_id in (None, watch.chat_id):
                watch.put(event)
