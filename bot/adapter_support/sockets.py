"""WebSockets that are open: they end when Parley stops, and their clients are told why."""

from __future__ import annotations

import asyncio
from weakref import WeakSet

from aiohttp import WSCloseCode, web

SOCKETS: web.AppKey[WeakSet[web.WebSocketResponse]] = web.AppKey("sockets", WeakSet)
"""Whoever opens one adds it."""

_CLOSE_SECONDS = 1.0
"""For a client that does not answer that its socket is closed."""


async def close_sockets(app: web.Application) -> None:
    closing = [
        asyncio.create_task(
            socket.close(code=WSCloseCode.GOING_AWAY, message=b"Parley is stopping.")
        )
        for socket in app[SOCKETS]
    ]
    if closing:
        await asyncio.wait(closing, timeout=_CLOSE_SECONDS)
