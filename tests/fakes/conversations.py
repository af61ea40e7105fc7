"""Conversations that answer programs from a script; people are not its matter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar

from bot.errors import QueueFull
from bot.generation import CompletionRequest, Delta, Finished, FinishReason, GenerationEvent, Usage
from bot.inference.core.vocabulary import TextCodec, Tokenizing
from bot.stored import ThreadSummary
from bot.types import Incoming, Person, Personality, Place, Session, SessionQuestion, Standing
from tests.fakes.model import FakeModel

T = TypeVar("T")

USAGE = Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=2)
HELLO: tuple[GenerationEvent, ...] = (
    Delta("Hello"),
    Delta(" there"),
    Finished(FinishReason.STOP, USAGE),
)
PERSONALITIES = (
    Personality("assistant", "Assistant", "You help."),
    Personality("coder", "Coder", "You write code."),
)


class ScriptedGeneration:
    """Says what it is told to; like the real one it ends with ``Finished`` when cancelled."""

    def __init__(self, events: Iterable[GenerationEvent] = ()) -> None:
        self._events: asyncio.Queue[GenerationEvent] = asyncio.Queue()
        self._has_ended = False
        self.cancelled = asyncio.Event()
        self.say(*events)

    @property
    def is_running(self) -> bool:
        return not (self._has_ended or self.cancelled.is_set())

    def say(self, *events: GenerationEvent) -> None:
        for event in events:
            self._events.put_nowait(event)

    def cancel(self) -> None:
        if self.is_running:
            self.cancelled.set()
            self.say(Finished(FinishReason.CANCELLED))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationEvent:
        if self._has_ended:
            raise StopAsyncIteration
        event = await self._events.get()
        self._has_ended = isinstance(event, Finished)
        return event


class Letters(Tokenizing):
    """Every letter is a token, which has its number."""

    window = 1_000

    async def read_vocabulary(self, work: Callable[[TextCodec], T]) -> T:
        return work(FakeModel())


class FakeConversations:
    """``script`` answers every request; one without ``Finished`` is continued by the test."""

    def __init__(
        self,
        script: Iterable[GenerationEvent] = HELLO,
        *,
        refusal: Exception | None = None,
        max_running: int | None = None,
    ) -> None:
        self.script = tuple(script)
        self.refusal = refusal
        self._max_running = max_running
        self._begun = asyncio.Condition()
        self.requests: list[CompletionRequest] = []
        self.embedded: list[Mapping[str, Any]] = []
        self.questions: list[SessionQuestion] = []
        self.forgotten: list[Place] = []
        self.generations: list[ScriptedGeneration] = []
        self.votes: list[tuple[str, str, int]] = []

    async def complete(self, request: CompletionRequest) -> ScriptedGeneration:
        if self.refusal is not None:
            raise self.refusal
        if self._max_running is not None and self.num_running >= self._max_running:
            raise QueueFull(retry_after=2.4)
        self.requests.append(request)
        return await self._begin()

    async def _begin(self) -> ScriptedGeneration:
        self.generations.append(ScriptedGeneration(self.script))
        async with self._begun:
            self._begun.notify_all()
        return self.generations[-1]

    async def converse(self, question: SessionQuestion) -> ScriptedGeneration:
        if self.refusal is not None:
            raise self.refusal
        self.questions.append(question)
        return await self._begin()

    async def forget(self, session: Session) -> int:
        num_turns = len(self.questions)
        self.questions = [each for each in self.questions if each.session != session]
        return num_turns - len(self.questions)

    async def forget_thread(self, place: Place) -> None:
        if self.refusal:
            raise self.refusal
        self.forgotten.append(place)

    async def complete_all(
        self, request: CompletionRequest, num_answers: int
    ) -> list[ScriptedGeneration]:
        num_all = num_answers * (len(request.prompts) or 1)
        return [await self.complete(request) for _ in range(num_all)]

    async def embed(
        self, account: str, user: str | None, model: str | None, request: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.embedded.append(request)
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}]
        usage = {"prompt_tokens": 2, "total_tokens": 2}
        return {"object": "list", "data": data, "model": "theirs", "usage": usage}

    async def tokenizer(self, account: str, personality: str | None, model: str | None) -> Letters:
        if self.refusal is not None:
            raise self.refusal
        return Letters()

    @property
    def num_running(self) -> int:
        return sum(generation.is_running for generation in self.generations)

    async def begun(self, number: int = 1) -> ScriptedGeneration:
        """The ``number``-th generation, once it exists."""
        async with self._begun:
            await self._begun.wait_for(lambda: len(self.generations) >= number)
        return self.generations[number - 1]

    async def vote(self, account: str, answer_id: str, rating: int) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.votes.append((account, answer_id, rating))

    def personalities(self) -> tuple[Personality, ...]:
        return PERSONALITIES

    def refusal_of(self, place: Place, person: Person) -> str:
        return ""

    def listens(self, place: Place) -> bool:
        return False

    async def handle(self, incoming: Incoming) -> None:
        raise NotImplementedError

    async def standing(self, place: Place, person: Person) -> Standing:
        raise NotImplementedError

    async def threads(self, person: Person) -> list[ThreadSummary]:
        raise NotImplementedError
