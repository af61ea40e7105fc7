"""Requests to a RemoteEngine with short timeouts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bot.generation import ChatMessage, Finished, GenerationRequest
from bot.inference.remote.engine import RemoteEngine
from bot.inference.remote.patience import Patience
from bot.metrics import Metrics
from tests.bot.inference.streams import read
from tests.fakes.model_server import FakeModelServer

HASTY = Patience(
    connect=1.0,
    first_token=0.3,
    silence=0.3,
    tail=0.1,
    probe=1.0,
    rest=0.01,
    max_rest=0.02,
    max_retry_after=0.2,
    watch=0.02,
)


def engine_over(
    *servers: FakeModelServer, metrics: Metrics | None = None, **options: Any
) -> RemoteEngine:
    urls = [server.url for server in servers]
    return RemoteEngine(urls, metrics or Metrics(), **{"patience": HASTY, **options})


def question(text: str = "hi", *, person: str = "ada", limit: int = 100) -> GenerationRequest:
    messages = (ChatMessage("user", text),)
    return GenerationRequest(messages=messages, person=person, max_tokens=limit)


async def answer(engine: RemoteEngine, request: GenerationRequest) -> tuple[str, Finished]:
    return await read(await engine.generate(request))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - another process or a socket is waited for
            await asyncio.sleep(0.005)


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"parley_{name}", labels) or 0
