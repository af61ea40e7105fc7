"""The stream of events of one reply, from the engine to its reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import Self

from bot.errors import ParleyError
from bot.generation import (
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Progress,
    Queued,
    Reasoning,
    Said,
    ToolCallDelta,
)


class GenerationStream:
    """``bot.ports.EngineGeneration``. Text that was not read yet is joined, not queued.

    So a slow reader costs one string, and gets only the latest position in the queue, or the latest
    progress.
    """

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        self._on_cancel = on_cancel
        self._queued: Queued | Progress | None = None
        self._unread: list[Said] = []
        self._last: Finished | ParleyError | None = None
        self._is_read = False
        self._on_finished: list[Callable[[Finished], None]] = []
        self._news = asyncio.Event()

    @property
    def is_finished(self) -> bool:
        return self._last is not None

    def put(self, event: GenerationEvent) -> None:
        """Take an event from the engine; none may follow ``Finished``."""
        if isinstance(event, Queued | Progress):
            self._queued = event
        elif isinstance(event, Said):
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
            _, group = next(groupby(self._unread, _kind))
            alike = list(group)
            del self._unread[: len(alike)]
            return _joined(alike)
        if self._is_read or self._last is None:
            raise StopAsyncIteration
        self._is_read = True
        if isinstance(self._last, ParleyError):
            raise self._last
        return self._last


def _event(last: Finished | ParleyError) -> Finished:
    return last if isinstance(last, Finished) else Finished(FinishReason.ERROR, detail=str(last))


def _kind(event: Said) -> tuple[type[Said], int]:
    """Equal for events that can be joined."""
    return type(event), event.index if isinstance(event, ToolCallDelta) else 0


def _joined(alike: Sequence[Said]) -> Said:
    match alike[0]:
        case ToolCallDelta():
            more = (event for event in alike if isinstance(event, ToolCallDelta))
            return replace(alike[0], arguments="".join(event.arguments for event in more))
        case Delta():
            deltas = [event for event in alike if isinstance(event, Delta)]
            logprobs = chain.from_iterable(event.logprobs for event in deltas)
            return Delta("".join(event.text for event in deltas), tuple(logprobs))
    return Reasoning("".join(event.text for event in alike if isinstance(event, Reasoning)))
