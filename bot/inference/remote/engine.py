"""RemoteEngine: the text generator over remote servers, with a fair queue of Parley's own."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import insort
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from bot.errors import (
    ANSWER_FAILED,
    EngineFailed,
    NotOffered,
    PromptTooLong,
    QueueFull,
    RequestError,
    UnsupportedOption,
    UnsupportedSampling,
)
from bot.fair_queue import FairQueue
from bot.generation import AnyPrompt, Finished, FinishReason, GenerationRequest, RawPrompt
from bot.inference.engine.replies import BEGUN, QueueEstimates
from bot.inference.remote.cache_hints import CacheHints
from bot.inference.remote.chunks import body_of
from bot.inference.remote.counting import TokenCounter
from bot.inference.remote.dialects import PLAIN
from bot.inference.remote.faults import ContextExceeded, Fault
from bot.inference.remote.formats import response_format
from bot.inference.remote.patience import Patience
from bot.inference.remote.reply import RemoteReply
from bot.inference.remote.sender import Sender
from bot.inference.remote.server import RemoteServer
from bot.inference.remote.servers import Servers
from bot.inference.remote.tools import tool_keys
from bot.metrics import Metrics
from bot.stream import GenerationStream

logger = logging.getLogger(__name__)

ASSUMED_WINDOW = 4_096
"""The context window while it is not set and no server has stated it."""

_MAX_DEFAULT_WINDOW = 8_192
_NOT_RUNNING = "The model is not running. Please ask again in a minute."
_LACKING = "is not supported with this value by the model's server; please leave it out."
_NO_TOKENS = "The model's server does not show these tokens."
_NO_EMBEDDINGS = "The model's server makes no embeddings."
_TOO_LONG = "This is too long for the model's server; please send it in parts."

T = TypeVar("T")


def _cannot_miss(request: GenerationRequest) -> set[str]:
    """Keys that change an answer so much that it is none without them."""
    asked = {
        "logprobs": request.num_logprobs is not None,
        "response_format": request.answer_format is not None,
    }
    return {name for name, is_set in asked.items() if is_set} | tool_keys(request.tool_use).keys()


@dataclass(frozen=True, slots=True)
class _Queued(Generic[T]):
    is_background: bool
    ticket: int
    number: int
    item: T


class RoundRobinQueue(Generic[T]):
    """Requests in turn over people, background last; iterates in the order of ``pop``.

    ``leave`` must be called for every item that was added, after its ``pop`` or without one.
    """

    def __init__(self) -> None:
        self._items: list[_Queued[T]] = []
        self._order = FairQueue()
        self._num_added = 0

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return (queued.item for queued in self._items)

    def add(self, name: str, item: T, *, is_background: bool = False) -> None:
        self._num_added += 1
        queued = _Queued(is_background, self._order.take(name), self._num_added, item)
        insort(self._items, queued, key=lambda p: (p.is_background, p.ticket, p.number))

    def pop(self) -> T:
        queued = self._items.pop(0)
        self._order.serve(queued.ticket)
        return queued.item

    def leave(self, name: str, item: T) -> None:
        self._items = [queued for queued in self._items if queued.item is not item]
        self._order.leave(name)


class RemoteEngine:
    """``bot.ports.TextGenerator``. Enter it before use; leaving it ends every reply.

    ``window``: tokens of a thread; 0: as the servers state.
    """

    def __init__(
        self,
        urls: Sequence[str],
        metrics: Metrics,
        *,
        key: str = "",
        model: str | None = None,
        window: int = 0,
        max_running: int = 16,
        max_waiting: int = 256,
        patience: Patience | None = None,
        hints: CacheHints | None = None,
    ) -> None:
        patience = patience or Patience()
        self._hints = hints or CacheHints()
        self.servers = Servers(urls, key=key, model=model, patience=patience)
        self._sender = Sender(self.servers, self._body, self._hints.headers, metrics, patience)
        self._counter = TokenCounter(self.servers.num_tokens)
        self._asked_window = window
        self._learned_window: int | None = None
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._metrics = metrics
        self._queue: RoundRobinQueue[RemoteReply] = RoundRobinQueue()
        self._tasks: dict[asyncio.Task[None], RemoteReply] = {}
        self._estimates = QueueEstimates(max_running)
        self._is_open = False

    @property
    def name(self) -> str:
        return self.servers.model

    @property
    def window(self) -> int:
        known = self.known_window
        if self._asked_window:
            return min(self._asked_window, known or self._asked_window)
        return min(known or ASSUMED_WINDOW, _MAX_DEFAULT_WINDOW)

    @property
    def known_window(self) -> int | None:
        """The window that the servers have stated, in an answer or in a refusal of a prompt."""
        return min((n for n in (self.servers.window, self._learned_window) if n), default=None)

    @property
    def is_healthy(self) -> bool:
        return self.servers.num_up > 0

    @property
    def num_waiting(self) -> int:
        return len(self._queue)

    @property
    def num_running(self) -> int:
        return len(self._tasks)

    async def count(self, prompt: AnyPrompt) -> int:
        return await self._counter.count(prompt)

    async def tokenize(self, prompt: AnyPrompt) -> list[int]:
        """As ``bot.ports.Tokenizes``; a server shows the tokens of texts, and not of chats."""
        if not isinstance(prompt, RawPrompt):
            raise NotOffered(_NO_TOKENS)
        if not isinstance(prompt.content, str):
            return list(prompt.content)
        return await self._shown(lambda server: server.tokens(self.name, prompt))

    async def texts(self, tokens: Sequence[int]) -> list[bytes]:
        raise NotOffered(_NO_TOKENS)

    async def detokenize(self, tokens: Sequence[int], *, shows_special: bool = True) -> str:
        """Special tokens are left out or not, as the server does it."""
        return await self._shown(lambda server: server.text_of(self.name, tokens))

    async def _shown(self, ask: Callable[[RemoteServer], Awaitable[T | None]]) -> T:
        found = await self._of_server(ask)
        if found is None:
            raise NotOffered(_NO_TOKENS)
        return found

    async def embed(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """As ``bot.ports.Embeds``."""
        body = {**request, "model": self.name}
        found = await self._of_server(lambda server: server.embed(body))
        if not isinstance(found, dict) or not isinstance(found.get("data"), list):
            raise NotOffered(_NO_EMBEDDINGS)
        return found

    async def _of_server(self, ask: Callable[[RemoteServer], Awaitable[T]]) -> T:
        """Asked once, of the least loaded one."""
        server = self.servers.least_loaded()
        try:
            with server.busy():
                return await ask(server)
        except ContextExceeded:
            raise RequestError(_TOO_LONG) from None
        except Fault as fault:
            if fault.kind == "refused":
                raise NotOffered(str(fault)) from None
            raise EngineFailed(str(fault)) from None

    async def generate(self, request: GenerationRequest) -> GenerationStream:
        """Queue a request. The stream may raise ``PromptTooLong`` before the first token."""
        if not self._is_open:
            raise EngineFailed(_NOT_RUNNING)
        response_format(request.answer_format)  # an unsupported format is refused before queueing
        self._check_options(request)
        self._check_room()
        num_tokens = await self.count(request.prompt)
        if num_tokens >= self.window:
            raise PromptTooLong(num_tokens, self.window - 1)
        self._check_room()
        reply: RemoteReply
        stream = GenerationStream(lambda: self._cancel(reply))
        reply = RemoteReply(request, stream, time.monotonic(), num_tokens)
        self._queue.add(request.person, reply, is_background=request.is_background)
        self._admit()
        return stream

    async def forget(self, thread: str, scope: str) -> None:
        """Does nothing: the engine keeps no state of threads, and a server's cache is its own."""

    def _check_options(self, request: GenerationRequest) -> None:
        """Any of the servers may get the request."""
        dialects = [server.dialect or PLAIN for server in self.servers]
        for name in sorted(request.asked_sampling):
            if any(dialect.lacks(request.sampling, name) for dialect in dialects):
                raise UnsupportedSampling(name, _LACKING)
        if request.continues and any(dialect.continues is None for dialect in dialects):
            raise UnsupportedOption("continue_final_message", _LACKING)
        refused = frozenset[str]().union(*(dialect.refuses for dialect in dialects))
        for name in refused.intersection(_cannot_miss(request)):
            raise UnsupportedOption(name, _LACKING)
        if request.raw and request.raw.suffix and not all(d.fills for d in dialects):
            raise UnsupportedOption("suffix", _LACKING)

    def _check_room(self) -> None:
        if self.num_waiting >= self._max_waiting and self.num_running >= self._max_running:
            raise QueueFull(self._estimates.until(self.num_waiting))

    def _admit(self) -> None:
        while len(self._queue) and self.num_running < self._max_running and self._is_open:
            reply = self._queue.pop()
            reply.started_at = time.monotonic()
            if reply.queued is not None:
                reply.stream.put(BEGUN)
            task = asyncio.create_task(self._answer(reply), name="parley-remote-reply")
            self._tasks[task] = reply
            task.add_done_callback(self._end)
        self._estimates.tell(self._queue)
        self._metrics.queue_length.set(self.num_waiting)
        self._metrics.running_sequences.set(self.num_running)

    async def _answer(self, reply: RemoteReply) -> None:
        try:
            await self._sender.send(reply)
            self._conclude(reply, Finished(reply.reason or FinishReason.STOP, reply.usage))
        except Fault as fault:
            self._conclude(reply, Finished(FinishReason.ERROR, reply.usage, str(fault)))
        except ContextExceeded as exceeded:
            await self._learn(reply, exceeded)
            num_tokens = max(exceeded.num_tokens or reply.num_tokens, self.window)
            reply.stream.fail(PromptTooLong(num_tokens, self.window - 1))
        await self._compare(reply)

    async def _learn(self, reply: RemoteReply, exceeded: ContextExceeded) -> None:
        """Lower the window or raise the counts, so that a repeated question fits in the end."""
        known = self.known_window
        if exceeded.window and (known is None or exceeded.window < known):
            self._learned_window = exceeded.window
            logger.warning("the model's window is %s tokens, as its server says", exceeded.window)
        else:
            await self._counter.learn(reply.request.prompt, exceeded.num_tokens)

    async def _compare(self, reply: RemoteReply) -> None:
        """Raise our counts if the server counted more tokens of the prompt."""
        if reply.usage.prompt_tokens > reply.num_tokens:
            await self._counter.learn(reply.request.prompt, reply.usage.prompt_tokens)

    def _conclude(self, reply: RemoteReply, finished: Finished) -> None:
        if reply.stream.is_finished:
            return
        reply.show_rest()
        reply.stream.put(replace(finished, queue_seconds=reply.queue_seconds))
        usage = finished.usage
        self._metrics.tool_calls.inc(reply.calls.num_calls)
        self._metrics.completion_tokens.inc(usage.completion_tokens)
        self._metrics.prompt_tokens.labels("shared").inc(usage.cached_tokens)
        evaluated = usage.prompt_tokens - usage.cached_tokens
        self._metrics.prompt_tokens.labels("evaluated").inc(evaluated)
        if finished.reason is not FinishReason.CANCELLED:
            self._estimates.took(time.monotonic() - reply.accepted_at)

    def _end(self, task: asyncio.Task[None]) -> None:
        reply = self._tasks.pop(task)
        self._queue.leave(reply.request.person, reply)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a reply failed", exc_info=error)
        self._conclude(reply, Finished(FinishReason.ERROR, reply.usage, ANSWER_FAILED))
        self._admit()

    def _cancel(self, reply: RemoteReply) -> None:
        self._metrics.cancelled.inc()
        self._conclude(reply, Finished(FinishReason.CANCELLED, reply.usage))
        task = next((task for task, each in self._tasks.items() if each is reply), None)
        if task:
            task.cancel()  # closes the connection; the slot is free afterwards
        else:
            self._queue.leave(reply.request.person, reply)
            self._admit()

    def _body(self, request: GenerationRequest, server: RemoteServer) -> dict[str, Any]:
        dialect = server.dialect or PLAIN
        body = body_of(request, request.model or self.name, dialect)
        return body | self._hints.keys(request, dialect)

    async def __aenter__(self) -> Self:
        await self.servers.__aenter__()
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        for reply in (*self._tasks.values(), *self._queue):
            self._conclude(reply, Finished(FinishReason.CANCELLED, reply.usage))
        for task in (tasks := list(self._tasks)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.servers.__aexit__(kind, error, traceback)
