"""Server-sent events to one client that may read slowly, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType

from aiohttp import web

from adapters.http.common.patience import WritePatience
from bot.generation import GenerationEvent
from bot.ports import Clock, Generation


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


class EventStream(WritePatience):
    """The 200 is sent with the first event, so that an early failure can have its own status.

    ``send`` waits for a slow client, which bounds its buffer. ``headers`` beside, or instead of,
    those of a stream of events: it may be one of plain text.
    """

    def __init__(
        self,
        request: web.Request,
        clock: Clock,
        patience: float,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(request, clock, patience)
        self._request = request
        self._response = web.StreamResponse(headers={**_HEADERS, **headers})

    @property
    def has_begun(self) -> bool:
        return self._response.prepared

    async def send(self, data: bytes) -> None:
        await self._begin()
        with self.writing():
            await self._response.write(data)

    async def end(self) -> web.StreamResponse:
        """Also of one in which nothing was said."""
        await self._begin()
        with self.writing():
            await self._response.write_eof()
        return self._response

    async def _begin(self) -> None:
        if not self.has_begun:
            await self._response.prepare(self._request)
