"""From a request to a reply that may be queued: tokens and grammar, made beside the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bot.errors import PromptTooLong
from bot.inference.core.model import Model
from bot.inference.core.sequence import Sequence
from bot.inference.core.stream import GenerationStream
from bot.inference.grammar.formats import followed
from bot.inference.output.repetition_guard import RepetitionGuard
from bot.inference.output.text import ReplyText
from bot.inference.prompts import PromptEncoder
from bot.inference.reply import Reply
from bot.types import AnswerFormat, ChatMessage, GenerationRequest


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
