"""A real server on a free port with the page, and chats behind it that a test leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from adapters.web.routes import page_routes
from bot.chats import Chats
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.web.sign_ins import SignIns
from tests.adapters.web.browser import Browser
from tests.adapters.web.pages import loaded_at_once, page_context
from tests.fakes.chats import FakeChats
from tests.fakes.clock import FakeClock
from tests.fakes.readiness import always

Serve = Callable[..., Awaitable[Server]]
Open = Callable[..., Awaitable[Browser]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def chats() -> FakeChats:
    return FakeChats()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def serve(
    clock: FakeClock, chats: FakeChats, metrics: Metrics, tmp_path: Path
) -> AsyncIterator[Serve]:
    """``loaded``: the chats, as far as they are there. Other settings are the server's."""
    async with AsyncExitStack() as stack:

        async def start(
            *,
            loaded: asyncio.Future[Chats] | None = None,
            page: dict[str, Any] | None = None,
            **settings: Any,
        ) -> Server:
            values = {"port": 0, "drain_seconds": 0.2, **settings}
            sign_ins = SignIns(clock, tmp_path / "web" / "sign_ins.json")
            server = Server(ServerSettings(**values), metrics, always(), sign_ins)
            changes = {"observe_request": metrics.count_page_request, **(page or {})}
            context = page_context(server, loaded or loaded_at_once(chats), clock, **changes)
            server.mount_page(page_routes(context))
            return await stack.enter_async_context(server)

        yield start


@pytest.fixture
async def browse() -> AsyncIterator[Open]:
    """Open the page of a server in another browser each time."""
    async with AsyncExitStack() as stack:

        async def opened(server: Server, *, loads: bool = True, **headers: str) -> Browser:
            browser = await stack.enter_async_context(Browser(server.url, headers))
            if loads:
                await browser.load()
            return browser

        yield opened
