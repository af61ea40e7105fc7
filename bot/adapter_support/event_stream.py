"""Server-sent events to one client that may read slowly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

from bot.adapter_support.patience import WritePatience
from bot.ports import Clock

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
