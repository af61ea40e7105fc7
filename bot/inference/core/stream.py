"""The stream of events of one reply, from the engine to its reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain, groupby
from typing import Self

from bot.errors import ParleyError
from bot.types import Delta, Finished, FinishReason, GenerationEvent, Queued, Reasoning


class GenerationStream:
    """``bot.ports.EngineGeneration``. Text that was not read yet is joined, not queued.

    So a slow reader costs one string, and gets only the latest position in the queue.
    """

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        self._on_cancel = on_cancel
        self._queued: Queued | None = None
        self._unread: list[Delta | Reasoning] = []
        self._last: Finished | ParleyError | None = None
        self._is_read = False
        self._on_finished: list[Callable[[Finished], None]] = []
        self._news = asyncio.Event()

    @property
    def is_finished(self) -> bool:
        return self._last is not None

    def put(self, event: GenerationEvent) -> None:
        """Take an event from the engine; none may follow ``Finished``."""
        if isinstance(event, Queued):
            self._queued = event
        elif isinstance(event, Delta | Reasoning):
            self._queued = None
            self._unread.append(event)
        else:
            self._queued = None
            self._finish(event)
        self._news.set()

    def when_finished(self, do: Callable[[Finished], None]) -> None:
        """See ``bot.ports.EngineGeneration``."""
        if self._last is not None:
            do(_event(self._last))
        else:
            self._on_finished.append(do)

    def fail(self, error: ParleyError) -> None:
        """End the stream with an error instead of ``Finished``: the reader gets it raised."""
        self._finish(error)
        self._news.set()

    def _finish(self, last: Finished | ParleyError) -> None:
        self._last = last
        for do in self._on_finished:
            do(_event(last))

    def cancel(self) -> None:
        if not self.is_finished:
            self._on_cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationEvent:
        while not (self._queued or self._unread or self._last):
            self._news.clear()
            await self._news.wait()
        if self._queued:
            event, self._queued = self._queued, None
            return event
        if self._unread:
            kind = type(self._unread[0])
            _, group = next(groupby(self._unread, type))
            alike = list(group)
            del self._unread[: len(alike)]
            text = "".join(event.text for event in alike)
            return _delta(text, alike) if kind is Delta else Reasoning(text)
        if self._is_read or self._last is None:
            raise StopAsyncIteration
        self._is_read = True
        if isinstance(self._last, ParleyError):
            raise self._last
        return self._last


def _event(last: Finished | ParleyError) -> Finished:
    return last if isinstance(last, Finished) else Finished(FinishReason.ERROR, detail=str(last))


def _delta(text: str, joined: Sequence[Delta | Reasoning]) -> Delta:
    logprobs = (event.logprobs for event in joined if isinstance(event, Delta))
    return Delta(text, tuple(chain.from_iterable(logprobs)))
