"""A reply on its way from the engine to whoever reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Self

from bot.errors import ParleyError
from bot.types import Delta, Finished, GenerationEvent, Queued, Reasoning


class GenerationStream:
    """``bot.ports.Generation``. Text that was not read yet is joined, never queued up.

    So a slow reader costs one string, and sees the latest place in the queue only.
    """

    def __init__(self, on_cancel: Callable[[], None]) -> None:
        self._on_cancel = on_cancel
        self._queued: Queued | None = None
        self._unread: list[Delta | Reasoning] = []
        self._finished: Finished | None = None
        self._error: ParleyError | None = None
        self._is_read = False
        self._on_finished: list[Callable[[], None]] = []
        self._news = asyncio.Event()

    @property
    def is_finished(self) -> bool:
        return self._finished is not None or self._error is not None

    def put(self, event: GenerationEvent) -> None:
        """Take an event from the engine; nothing may follow ``Finished``."""
        if isinstance(event, Queued):
            self._queued = event
        elif isinstance(event, Delta | Reasoning):
            self._queued = None
            self._unread.append(event)
        else:
            self._queued = None
            self._finish(event)
        self._news.set()

    def when_finished(self, do: Callable[[], None]) -> None:
        """Once the engine has said its last word, read or not."""
        if self.is_finished:
            do()
        else:
            self._on_finished.append(do)

    def fail(self, error: ParleyError) -> None:
        """In place of ``Finished``: whoever reads on gets ``error`` raised."""
        self._finish(error)
        self._news.set()

    def _finish(self, last: Finished | ParleyError) -> None:
        if isinstance(last, Finished):
            self._finished = last
        else:
            self._error = last
        for do in self._on_finished:
            do()

    def cancel(self) -> None:
        if not self.is_finished:
            self._on_cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationEvent:
        while (event := self._next()) is None:
            if self._is_read:
                raise StopAsyncIteration
            if self._error:
                self._is_read = True
                raise self._error
            self._news.clear()
            await self._news.wait()
        return event

    def _next(self) -> GenerationEvent | None:
        if self._queued:
            event, self._queued = self._queued, None
            return event
        if self._unread:
            kind = type(self._unread[0])
            alike = list(takewhile(lambda event: isinstance(event, kind), self._unread))
            del self._unread[: len(alike)]
            return kind("".join([event.text for event in alike]))
        if self._finished and not self._is_read:
            self._is_read = True
            return self._finished
        return None
