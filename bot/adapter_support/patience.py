"""Waiting for a client that reads slowly, and for one that reads nothing no longer than that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.ports import Clock


class WritePatience:
    """Closes the connection of a client that reads nothing for ``seconds``.

    Whoever writes then gets a ``ConnectionError``. One sleeper per connection, instead of one
    timeout per write.
    """

    def __init__(self, request: web.Request, clock: Clock, seconds: float) -> None:
        self._request = request
        self._clock = clock
        self._seconds = seconds
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

    @contextmanager
    def writing(self) -> Iterator[None]:
        self._blocked_since = self._clock.monotonic()
        yield
        self._blocked_since = None

    async def _watch(self) -> None:
        while not self._is_stalled():
            await self._clock.sleep(self._seconds / 4)
        if self._request.transport is not None:
            self._request.transport.abort()

    def _is_stalled(self) -> bool:
        since = self._blocked_since
        return since is not None and self._clock.monotonic() - since >= self._seconds
