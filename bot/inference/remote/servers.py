"""Servers: all servers together, their health, and the choice among them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import aiohttp

from bot.errors import ModelError
from bot.inference.remote.patience import Patience
from bot.inference.remote.server import RemoteServer

logger = logging.getLogger(__name__)

_UNNAMED = "remote"


class Servers:
    """Entering probes each server, and a task does so again from time to time, if it is to.

    Entering raises ``ModelError`` if every server answers and none is usable; a server that is
    unreachable may still come up.
    """

    def __init__(
        self, urls: Sequence[str], *, key: str, model: str | None, patience: Patience
    ) -> None:
        self._urls = urls
        self._key = key
        self._model = model
        self._patience = patience
        self._servers: tuple[RemoteServer, ...] = ()
        self._stack = AsyncExitStack()

    def __iter__(self) -> Iterator[RemoteServer]:
        return iter(self._servers)

    def __len__(self) -> int:
        return len(self._servers)

    @property
    def model(self) -> str:
        """The name that was set, or else the first model of the servers."""
        return self._model or next((name for s in self for name in s.windows), _UNNAMED)

    @property
    def window(self) -> int | None:
        """The smallest window of the model that a server states."""
        said = (server.windows.get(self.model) for server in self)
        return min((number for number in said if number), default=None)

    @property
    def num_up(self) -> int:
        return sum(server.is_up for server in self)

    def least_loaded(self, avoided: Container[RemoteServer] = ()) -> RemoteServer:
        """The least loaded of the healthy and rested servers, or else of the others."""
        now = time.monotonic()
        return min(
            (server for server in self if server not in avoided),
            key=lambda s: (not s.is_up, max(0.0, s.rests_until - now), s.num_running),
        )

    async def num_tokens(self, text: str) -> int | None:
        """None while no server can count."""
        server = next((each for each in self if each.is_up), None)
        return await server.num_tokens(self.model, text) if server else None

    async def __aenter__(self) -> Self:
        session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect),
            headers=_authorization(self._key),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        await self._stack.enter_async_context(session)
        self._servers = tuple(RemoteServer(url, session, self._patience) for url in self._urls)
        try:
            await self._probe()
            self._refuse_if_all_are_wrong()
            self._report([""] * len(self))
        except BaseException:
            await self._stack.aclose()
            raise
        if math.isfinite(self._patience.watch):
            watching = asyncio.create_task(self._watch(), name="parley-remote-watch")
            self._stack.push_async_callback(_end, watching)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def _refuse_if_all_are_wrong(self) -> None:
        wrong = [server for server in self if server.is_wrong]
        if len(wrong) == len(self):
            raise ModelError("\n".join(f"{server.url}: {server.problem}" for server in wrong))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._patience.watch)
            before = [server.problem for server in self]
            await self._probe()
            self._report(before)

    async def _probe(self) -> None:
        await asyncio.gather(*(server.probe(self._model) for server in self))

    def _report(self, before: Sequence[str]) -> None:
        for server, problem in zip(self, before, strict=True):
            if server.problem != problem:
                level = logging.WARNING if server.problem else logging.INFO
                logger.log(level, "%s: %s", server.url, server.problem or "is well")


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _authorization(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
