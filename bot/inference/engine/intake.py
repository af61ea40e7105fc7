"""Turns a request into a reply that can be queued: its tokens and its grammar.

Encoding and compiling a grammar take time, so workers do them and not the event loop: one each,
so that no prompt waits for somebody's large schema.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from bot.errors import PromptTooLong, UnsupportedSampling
from bot.generation import AnyPrompt, ChatMessage, GenerationRequest, RawPrompt
from bot.inference.core.calls import AnyGrammar, CallSyntax
from bot.inference.core.model import Model
from bot.inference.core.sequence import Logprobs, Sequence, common_length
from bot.inference.core.vocabulary import TextCodec
from bot.inference.engine.replies import Reply
from bot.inference.grammar.calls import call_grammar
from bot.inference.grammar.formats import followed
from bot.inference.output.calls import CallSplitter
from bot.inference.output.repetition_guard import RepetitionGuard
from bot.inference.output.text import ReplyText, unclosed_tag
from bot.stream import GenerationStream

T = TypeVar("T")

_MAX_KNOWN = 64


class PromptEncoder:
    """Encodes prompts and remembers the prefixes of the latest system prompts.

    It is not thread-safe: only one worker uses it.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: OrderedDict[ChatMessage | None, list[int]] = OrderedDict()

    def encode(self, prompt: AnyPrompt) -> tuple[list[int], int]:
        """All tokens, and the length of the prefix that this system prompt always gives."""
        if isinstance(prompt, RawPrompt):
            return self._model.encode_raw(prompt), 0
        return self._encode(prompt)

    def _encode(self, messages: Items[ChatMessage]) -> tuple[list[int], int]:
        has_system = bool(messages) and messages[0].role == "system"
        system = messages[0] if has_system else None
        tokens = self._model.encode(messages)
        prefix = self._prefix(system, messages[:1] if has_system else ())
        num_same = common_length(prefix, tokens)
        if num_same < len(prefix):
            del self._known[system]  # a template may write the date, and the day has changed
        return tokens, num_same

    def _prefix(self, system: ChatMessage | None, messages: Items[ChatMessage]) -> list[int]:
        """The tokens that two prompts share if they have only ``messages`` in common."""
        if system not in self._known:
            one, other = (self._model.encode([*messages, ChatMessage("user", t)]) for t in "1?")
            self._known[system] = one[: common_length(one, other)]
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(system)
        return self._known[system]


@dataclass(slots=True, eq=False)
class _Arrival:
    """A request that is being encoded."""

    scope: str
    thread: str | None
    is_forgotten: bool = False


class _Held(NamedTuple):
    """What a reply is held to, and the tokens that it must begin with."""

    grammar: AnyGrammar | None = None
    beginning: Items[int] = ()


_FREE = _Held()


class Intake:
    """Prepares the requests of one model.

    ``cancel`` is called when a reader cancels its stream. Without ``loop_guard`` no reply gets
    a ``RepetitionGuard``.
    """

    def __init__(
        self, model: Model, cancel: Callable[[Sequence], None], *, loop_guard: bool
    ) -> None:
        self._model = model
        self._cancel = cancel
        self._loop_guard = loop_guard
        self._prompts = PromptEncoder(model)
        self._worker = ThreadPoolExecutor(1, "parley-tokenizer")
        self._compiler = ThreadPoolExecutor(1, "parley-grammar")
        self._arrivals: set[_Arrival] = set()
        self._num_accepted = 0

    async def read(self, work: Callable[[TextCodec], T]) -> T:
        """Do it on the worker that encodes, and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, self._model)

    async def take(self, request: GenerationRequest) -> Reply:
        """Raises ``PromptTooLong``, ``UnsupportedFormat`` and ``UnsupportedSampling``."""
        self._check_biases(request)
        request = self._without_reasoning(request)
        arrival = _Arrival(request.scope, request.thread)
        loop, held = asyncio.get_running_loop(), _FREE
        self._arrivals.add(arrival)
        try:
            tokens, num_prefix = await self.read(lambda _: self._prompts.encode(request.prompt))
            if request.answer_format is not None or request.tool_use is not None:
                held = await loop.run_in_executor(self._compiler, self._held, request)
        finally:
            self._arrivals.remove(arrival)
        if len(tokens) >= self._model.window:
            raise PromptTooLong(len(tokens), self._model.window - 1)
        reply = self._reply(request, tokens, num_prefix, held)
        reply.sequence.is_forgotten = arrival.is_forgotten
        return reply

    def _without_reasoning(self, request: GenerationRequest) -> GenerationRequest:
        """A format has no room for reasoning: what the template or the text begun opens is closed.

        Beside tools it has.
        """
        if request.answer_format is None or request.tool_use or request.raw:
            return request
        messages, begun = request.messages, request.begun
        if begun is None and self._model.open_tag is not None:
            answer = ChatMessage("assistant", "", is_open=True)
            return replace(request, messages=(*messages, answer))
        if begun is not None and (tag := unclosed_tag(begun)) is not None:
            last = replace(messages[-1], content=f"{begun}\n{tag.closes.decode()}\n\n")
            return replace(request, messages=(*messages[:-1], last))
        return request

    def _held(self, request: GenerationRequest) -> _Held:
        grammar = self._grammar(request)
        if grammar is None or request.num_logprobs is not None:
            return _Held(grammar)
        return _Held(grammar, self._model.beginning(grammar))

    def _grammar(self, request: GenerationRequest) -> AnyGrammar | None:
        answer_format, can_follow = request.answer_format, self._model.can_follow
        if request.tool_use is not None:
            syntax = self._call_syntax(request)
            return call_grammar(request.tool_use, syntax, answer_format, can_follow)
        return followed(answer_format, can_follow) if answer_format is not None else None

    def _call_syntax(self, request: GenerationRequest) -> CallSyntax:
        """A reply that continues a text begins no reasoning, but may end what that has begun."""
        syntax = self._model.calls
        if request.begun is None:
            return syntax
        is_thinking = unclosed_tag(request.begun) is not None
        return replace(syntax, thinks=(), thought=syntax.thought if is_thinking else ())

    def _check_biases(self, request: GenerationRequest) -> None:
        if "logit_bias" not in request.asked_sampling:
            return
        for token, _ in request.sampling.logit_bias:
            if isinstance(token, int) and token >= self._model.num_tokens:
                problem = f"names token {token}; the model's last is {self._model.num_tokens - 1}."
                raise UnsupportedSampling("logit_bias", problem)

    def forget(self, scope: str, thread: str) -> None:
        """Nothing is kept of this thread's requests that are still being encoded."""
        for arrival in self._arrivals:
            if (arrival.scope, arrival.thread) == (scope, thread):
                arrival.is_forgotten = True

    def close(self) -> None:
        self._worker.shutdown()
        self._compiler.shutdown()

    def _reply(
        self,
        request: GenerationRequest,
        tokens: list[int],
        num_prefix: int,
        held: _Held,
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
            shares_prompt=request.shares_prompt,
            is_background=request.is_background,
            grammar=held.grammar,
        )
        sequence.forced += held.beginning[: max(0, sequence.max_tokens - 1)]
        if request.num_logprobs is not None:
            sequence.logprobs = Logprobs(request.num_logprobs)
        if self._loop_guard and request.loop_guard:
            sequence.guard = RepetitionGuard(self._model.piece)
        stream = GenerationStream(lambda: self._cancel(sequence))
        text = ReplyText(
            request.stop,
            self._model.open_tag,
            begun=request.begun,
            is_raw=request.raw is not None,
            is_exact=request.answer_format is not None,
            calls=CallSplitter(self._model.calls) if request.tool_use else None,
        )
        marks = self._model.calls.marks() if request.tool_use else {}
        return Reply(sequence, stream, text, self._model.piece, time.monotonic(), marks)
