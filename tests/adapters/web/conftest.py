"""A real server on a free port with the page, and chats behind it that a test leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from adapters.web.context import PageContext
from adapters.web.routes import page_routes
from bot.chats import Chats
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from bot.types import Personality
from bot.web.sign_ins import SignIns
from tests.adapters.web.browser import Browser
from tests.fakes.chats import FakeChats
from tests.fakes.clock import FakeClock
from tests.fakes.readiness import always

PERSONALITIES = (
    Personality(
        "assistant",
        "Assistant",
        "You help. See https://example.org/known for more.",
        description="Helps.",
        greeting="Hello!",
        suggested_questions=("What is a parley?",),
    ),
    Personality("coder", "Coder", "You write code."),
)
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
    """``has_loaded``: whether the chats are there. Other options are of the server or the page."""
    async with AsyncExitStack() as stack:

        async def start(
            *,
            loaded: asyncio.Future[Chats] | None = None,
            page: dict[str, Any] | None = None,
            **settings: Any,
        ) -> Server:
            if loaded is None:
                loaded = asyncio.get_running_loop().create_future()
                loaded.set_result(chats)
            values = {"port": 0, "drain_seconds": 0.2, **settings}
            sign_ins = SignIns(clock, tmp_path / "web" / "sign_ins.json")
            server = Server(ServerSettings(**values), metrics, always(), sign_ins)
            context: dict[str, Any] = {
                "chats": loaded,
                "callers": server.callers,
                "clock": clock,
                "model": lambda: "smollm2",
                "personalities": lambda: PERSONALITIES,
                "personality": "assistant",
                "is_admin": lambda person: person.id == "web:ann/ann",
                "max_files": 2,
                "max_upload": 100_000,
                "observe_request": metrics.count_page_request,
            }
            server.mount_page(page_routes(PageContext(**context | (page or {}))))
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
