"""EnginesOnDemand: models of servers of which nothing is asked before somebody wants one."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from yarl import URL

from bot.errors import EngineFailed, ModelError
from bot.inference.remote.engine import RemoteEngine
from bot.inference.remote.patience import Patience
from bot.metrics import Metrics

_PATIENCE = Patience(connect=5.0, first_token=60.0, silence=30.0, watch=math.inf, max_attempts=2)
"""Somebody waits who has an answer already; nobody watches the servers meanwhile."""
_ANY_WINDOW = 1 << 20
"""How long a prompt may be, the server says."""


class EnginesOnDemand:
    """``bot.ports.HasModels``. Leaving it ends every reply; without entering nothing is asked."""

    def __init__(
        self,
        urls: Sequence[str],
        metrics: Metrics,
        *,
        key: str = "",
        patience: Patience = _PATIENCE,
    ) -> None:
        self._urls = urls
        self._metrics = metrics
        self._key = key
        self._patience = patience
        self._engines: dict[str, RemoteEngine] = {}
        self._one_by_one: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._is_open = False

    @property
    def address(self) -> str:
        """The hosts of the servers, with their ports where those are not the usual ones."""
        return " or ".join(dict.fromkeys(map(_host, self._urls)))

    async def model(self, name: str) -> RemoteEngine:
        """Connects to the servers unless they were well before. Raises ``EngineFailed``."""
        async with self._one_by_one[name]:
            engine = self._engines.get(name)
            if engine is not None and (engine.is_healthy or engine.num_running):
                return engine
            if engine is not None:
                await self._engines.pop(name).__aexit__(None, None, None)
            self._engines[name] = await self._connected(name)
            return self._engines[name]

    async def _connected(self, name: str) -> RemoteEngine:
        engine = RemoteEngine(
            self._urls,
            self._metrics.share(),
            key=self._key,
            model=name,
            window=_ANY_WINDOW,
            patience=self._patience,
        )
        if not self._is_open:
            raise EngineFailed("Parley is stopping.")
        try:
            await engine.__aenter__()
        except ModelError as error:
            raise EngineFailed(str(error)) from error
        if not engine.is_healthy:
            problems = "; ".join(f"{server.url}: {server.problem}" for server in engine.servers)
            await engine.__aexit__(None, None, None)
            raise EngineFailed(problems)
        return engine

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        for engine in self._engines.values():
            await engine.__aexit__(kind, error, traceback)
        self._engines.clear()


def _host(url: str) -> str:
    parsed = URL(url)
    return f"{parsed.host}:{parsed.port}" if not parsed.is_default_port() else f"{parsed.host}"
