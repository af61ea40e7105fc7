"""Server-sent events to one client that may read slowly, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.ports import Clock, Generation
from bot.types import GenerationEvent


async def batches(
    generations: Sequence[Generation], clock: Clock, idle_seconds: float
) -> AsyncGenerator[list[tuple[int, GenerationEvent]], None]:
    """Yield all events since the last batch: a slow client costs one write, not one a token.

    With each event comes the index of its generation. Yields an empty batch after
    ``idle_seconds`` without an event. Close it (``aclosing``).
    """
    events: list[tuple[int, GenerationEvent]] = []
    wake = asyncio.Event()

    async def read(index: int, generation: Generation) -> None:
        async for event in generation:
            events.append((index, event))
            wake.set()

    async def tick() -> None:
        while True:
            await clock.sleep(idle_seconds)
            wake.set()

    readers = [asyncio.create_task(read(*numbered)) for numbered in enumerate(generations)]
    ticker = asyncio.create_task(tick())
    for reader in readers:
        reader.add_done_callback(lambda _: wake.set())
    try:
        while events or not all(reader.done() for reader in readers):
            await wake.wait()
            wake.clear()
            batch, events[:] = events.copy(), ()
            if batch or not all(reader.done() for reader in readers):
                yield batch
        for reader in readers:
            await reader
    finally:
        for task in (*readers, ticker):
            task.cancel()
        await asyncio.gather(*readers, ticker, return_exceptions=True)


_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


class EventStream:
    """The 200 is sent with the first event, so that an early failure can have its own status.

    ``send`` waits for a slow client, which bounds its buffer. The connection of a client that
    reads nothing for ``patience`` seconds is closed, and ``send`` raises ``ConnectionError``.
    """

    def __init__(self, request: web.Request, clock: Clock, patience: float) -> None:
        self._request = request
        self._clock = clock
        self._patience = patience
        self._response = web.StreamResponse(headers=_HEADERS)
        self._blocked_since: float | None = None

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watcher.cancel()

    @property
    def has_begun(self) -> bool:
        return self._response.prepared

    async def send(self, data: bytes) -> None:
        if not self.has_begun:
            await self._response.prepare(self._request)
        self._blocked_since = self._clock.monotonic()
        await self._response.write(data)
        self._blocked_since = None

    async def end(self) -> web.StreamResponse:
        self._blocked_since = self._clock.monotonic()
        await self._response.write_eof()
        self._blocked_since = None
        return self._response

    async def _watch(self) -> None:
        """One sleeper per reply, instead of one timeout per token."""
        while not self._is_stalled():
            await self._clock.sleep(self._patience / 4)
        if self._request.transport is not None:
            self._request.transport.abort()

    def _is_stalled(self) -> bool:
        since = self._blocked_since
        return since is not None and self._clock.monotonic() - since >= self._patience
