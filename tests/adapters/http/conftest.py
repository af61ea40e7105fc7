"""A real server on a free port, with scripted conversations behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from openai import AsyncOpenAI

from adapters.http.routes import MANNERS, routes
from bot.metrics import Metrics
from bot.ports import Conversations
from bot.server import Server, ServerSettings
from tests.fakes.clock import FakeClock
from tests.fakes.readiness import always

MODEL = "smollm2"
Serve = Callable[[Conversations], Awaitable[Server]]
Connect = Callable[[Server], AsyncOpenAI]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def serve(clock: FakeClock) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(conversations: Conversations) -> Server:
            settings = ServerSettings(port=0, drain_seconds=0.2)
            server = Server(settings, Metrics(), always())
            served = routes(conversations, model_names=lambda: (MODEL,), clock=clock)
            server.mount(served, manners=MANNERS)
            return await stack.enter_async_context(server)

        yield start


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """The official client, as a program would use it, but without second tries."""
    async with AsyncExitStack() as stack:

        def make(server: Server) -> AsyncOpenAI:
            return AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)

        clients: list[AsyncOpenAI] = []

        def remember(server: Server) -> AsyncOpenAI:
            clients.append(make(server))
            stack.push_async_callback(clients[-1].close)
            return clients[-1]

        yield remember
