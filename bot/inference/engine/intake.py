"""From a request to a reply that may be queued: tokens and grammar, made beside the event loop."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bot.errors import PromptTooLong
from bot.inference.core.model import Model
from bot.inference.core.sequence import Sequence, common_length
from bot.inference.core.stream import GenerationStream
from bot.inference.engine.replies import Reply
from bot.inference.grammar.formats import followed
from bot.inference.output.repetition_guard import RepetitionGuard
from bot.inference.output.text import ReplyText
from bot.types import AnswerFormat, ChatMessage, GenerationRequest

_MAX_KNOWN = 64


class PromptEncoder:
    """Used from one worker only. Remembers the system prompts it met last."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: OrderedDict[str | None, list[int]] = OrderedDict()

    def encode(self, messages: Items[ChatMessage]) -> tuple[list[int], int]:
        """All tokens, and the number that every prompt with this system prompt begins with."""
        tokens = self._model.encode(messages)
        beginning = self._beginning(messages)
        num_same = common_length(beginning, tokens)
        if num_same < len(beginning):
            del self._known[_system(messages)]  # a template may write the date: a new day
        return tokens, num_same

    def _beginning(self, messages: Items[ChatMessage]) -> list[int]:
        """What two prompts with nothing else in common have in common."""
        key = _system(messages)
        system = messages[:1] if key is not None else ()
        if key not in self._known:
            one, other = (self._model.encode([*system, ChatMessage("user", t)]) for t in "1?")
            self._known[key] = one[: common_length(one, other)]
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _system(messages: Items[ChatMessage]) -> str | None:
    return messages[0].content if messages and messages[0].role == "system" else None


@dataclass(slots=True, eq=False)
class _Arrival:
    """A request that is being encoded."""

    scope: str
    thread: str | None
    is_forgotten: bool = False


class Intake:
    """``cancel`` is what cancelling a reply's stream does. ``loop_guard``: see the service."""

    def __init__(
        self, model: Model, cancel: Callable[[Sequence], None], *, loop_guard: bool
    ) -> None:
        self._model = model
        self._cancel = cancel
        self._loop_guard = loop_guard
        self._prompts = PromptEncoder(model)
        self._worker = ThreadPoolExecutor(1, "parley-tokenizer")
        self._arrivals: set[_Arrival] = set()
        self._num_accepted = 0

    async def encode(self, messages: Items[ChatMessage]) -> tuple[list[int], int]:
        """See ``PromptEncoder``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._prompts.encode, messages)

    async def take(self, request: GenerationRequest) -> Reply:
        """Raises ``PromptTooLong`` and ``UnsupportedFormat``."""
        arrival = _Arrival(request.scope, request.thread)
        self._arrivals.add(arrival)
        try:
            tokens, num_prefix = await self.encode(request.messages)
            grammar = await self._grammar(request.answer_format)
        finally:
            self._arrivals.remove(arrival)
        if len(tokens) >= self._model.window:
            raise PromptTooLong(len(tokens), self._model.window - 1)
        reply = self._reply(request, tokens, num_prefix, grammar)
        reply.sequence.is_forgotten = arrival.is_forgotten
        return reply

    def forget(self, scope: str, thread: str) -> None:
        """Nothing is to be kept of what is on its way here."""
        for arrival in self._arrivals:
            if (arrival.scope, arrival.thread) == (scope, thread):
                arrival.is_forgotten = True

    def close(self) -> None:
        self._worker.shutdown()

    async def _grammar(self, answer_format: AnswerFormat | None) -> str | None:
        """A large schema takes a while to write, and to try."""
        if answer_format is None:
            return None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._worker, followed, answer_format, self._model.can_follow
        )

    def _reply(
        self, request: GenerationRequest, tokens: list[int], num_prefix: int, grammar: str | None
    ) -> Reply:
        self._num_accepted += 1
        sequence = Sequence(
            id=self._num_accepted,
            person=request.person,
            tokens=tokens,
            max_tokens=min(request.max_tokens, self._model.window - len(tokens)),
            sampling=request.sampling,
            scope=request.scope,
            thread=request.thread,
            num_prefix=num_prefix,
            grammar=grammar,
        )
        if self._loop_guard and request.loop_guard:
            sequence.guard = RepetitionGuard(self._model.piece)
        stream = GenerationStream(lambda: self._cancel(sequence))
        text = ReplyText(request.stop, self._model.open_tag)
        return Reply(sequence, stream, text, self._model.piece, time.monotonic())
