"""A text generator that a test leads by hand, or that plays replies prepared before.

    generator = ScriptedGenerator(window=4096)
    generator.replies.append("Hello there.")     # the next generation plays this by itself
    generation = await generator.started()       # else: the next one that the test leads
    generation.queue(2, wait=3.0)
    generation.say("Hel")
    generation.say("lo")
    generation.finish()

It is strict about ``bot.ports.TextGenerator``: events in order, nothing after ``Finished``,
prompt and reply cap together within the window.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from bot.errors import ParleyError, PromptTooLong, QueueFull, RequestError
from bot.generation import (
    AnyPrompt,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Queued,
    RawPrompt,
    Reasoning,
    Usage,
)

if TYPE_CHECKING:
    from bot.ports import EngineGeneration, TextGenerator

OVERHEAD = 4
"""Tokens of a message beside its words."""


def num_tokens(messages: AnyPrompt) -> int:
    """One token a word, and four for each message, so that a test can reckon."""
    if isinstance(messages, RawPrompt):
        content = messages.content
        return len(content.split() if isinstance(content, str) else content)
    return sum(OVERHEAD + len(message.content.split()) for message in messages)


class ScriptedGeneration:
    """A reply in the making; its methods are what the engine would do."""

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self.text = ""
        self.is_cancelled = False
        self.finished: Finished | None = None
        self.is_read = False
        self._events: deque[GenerationEvent] = deque()
        self._refusal: PromptTooLong | None = None
        self._news = asyncio.Event()
        self._on_finished: list[Callable[[Finished], None]] = []

    @property
    def question(self) -> str:
        """The newest message of the prompt."""
        prompt = self.request.prompt
        return str(prompt.content) if isinstance(prompt, RawPrompt) else prompt[-1].content

    def queue(self, place: int, wait: float | None = None, *, loading: str = "") -> None:
        assert not self.text, "a generation that has begun does not queue again"
        self._emit(Queued(place, wait, loading))

    def say(self, text: str) -> None:
        assert text, "an engine sends no empty delta"
        self._emit(Delta(text))
        self.text += text

    def think(self, text: str) -> None:
        assert text, "an engine sends no empty reasoning"
        assert not self.text, "an engine thinks before it answers"
        self._emit(Reasoning(text))

    def finish(self, reason: FinishReason = FinishReason.STOP, detail: str = "") -> None:
        usage = Usage(
            prompt_tokens=num_tokens(self.request.prompt),
            completion_tokens=len(self.text.split()),
        )
        self.end(Finished(reason, usage, detail))

    def end(self, finished: Finished) -> None:
        self._emit(finished)
        self.finished = finished
        for do in self._on_finished:
            do(finished)

    def when_finished(self, do: Callable[[Finished], None]) -> None:
        if self.finished:
            do(self.finished)
        else:
            self._on_finished.append(do)

    def refuse(self, error: PromptTooLong) -> None:
        """As an engine far away that learns only now how long the prompt is."""
        assert not self.text, "a reply that has begun was not too long to begin"
        self._refusal = error
        self._news.set()

    def cancel(self) -> None:
        if self.finished is None:
            self.is_cancelled = True
            self.finish(FinishReason.CANCELLED)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationEvent:
        if self.is_read:
            raise StopAsyncIteration
        while not self._events:
            if self._refusal:
                raise self._refusal
            self._news.clear()
            await self._news.wait()
        event = self._events.popleft()
        self.is_read = isinstance(event, Finished)
        return event

    def _emit(self, event: GenerationEvent) -> None:
        assert self.finished is None, f"nothing follows {self.finished}, not even {event}"
        self._events.append(event)
        self._news.set()


class ScriptedGenerator:
    """The engine's port. ``generations`` holds every one ever begun, in order.

    ``replies``: texts that the next generations play by themselves, word by word.
    ``forgotten``: thread and scope of each ``forget``.
    ``failures``: what the next calls of ``generate`` raise, before any reply is taken.
    ``max_unfinished``: generations at once; ``generate`` raises QueueFull beyond them.
    """

    def __init__(self, window: int = 4096, name: str = "scripted") -> None:
        self.window = window
        self.name = name
        self.max_unfinished: int | None = None
        self.num_refused = 0
        self.replies: deque[str] = deque()
        self.failures: deque[ParleyError] = deque()
        self.generations: list[ScriptedGeneration] = []
        self.forgotten: list[tuple[str, str]] = []
        self.num_counts = 0
        self._led: asyncio.Queue[ScriptedGeneration] = asyncio.Queue()

    async def started(self) -> ScriptedGeneration:
        """The next generation that does not play a reply by itself; waits for it."""
        return await self._led.get()

    async def count(self, prompt: AnyPrompt) -> int:
        self.num_counts += 1
        await asyncio.sleep(0)
        return num_tokens(prompt)

    async def forget(self, thread: str, scope: str) -> None:
        await asyncio.sleep(0)
        self.forgotten.append((thread, scope))

    async def generate(self, request: GenerationRequest) -> ScriptedGeneration:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.popleft()
        self._check_room()
        self._check(request)
        generation = ScriptedGeneration(request)
        self.generations.append(generation)
        if self.replies:
            _play(generation, self.replies.popleft())
        else:
            self._led.put_nowait(generation)
        return generation

    def _check_room(self) -> None:
        num_unfinished = sum(each.finished is None for each in self.generations)
        if self.max_unfinished is not None and num_unfinished >= self.max_unfinished:
            self.num_refused += 1
            raise QueueFull(60.0)

    def _check(self, request: GenerationRequest) -> None:
        if request.raw is None and (request.max_tokens < 1 or not request.messages):
            raise RequestError("A request needs a message and room for a reply.")
        room = self.window - request.max_tokens
        if num_tokens(request.prompt) > room:
            raise PromptTooLong(num_tokens(request.prompt), room)


def _play(generation: ScriptedGeneration, reply: str) -> None:
    for word in re.findall(r"\S+\s*|\s+", reply):
        generation.say(word)
    generation.finish()


if TYPE_CHECKING:
    _generator: TextGenerator = ScriptedGenerator()
    _generation: EngineGeneration = ScriptedGeneration(GenerationRequest(person=""))
