"""Slack's adapter on the strict fake, and on the real local-slack."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler as WebHandler

from adapters.slack.adapter import LIMITS, SlackAdapter
from adapters.slack.api.settings import SlackSettings
from adapters.slack.receivers.webhook import PATH
from bot.adapter_support.connection import MAX_BODY
from bot.clock import SystemClock
from bot.ports import Clock
from bot.types import Person, Place
from tests.fakes.slack import SECRET, TOKEN, FakeSlack
from tests.fakes.slack_api import ADA, CHANNEL, TEAM
from tests.local_slack import (
    BOT_TOKEN,
    SIGNING_SECRET,
    LocalSlack,
    binary_or_skip,
    running_local_slack,
)

SHORT = replace(LIMITS, call_timeout=3.0)  # a busy machine may stall for one
CONTROL = re.compile(r"<(?!https?://|mailto:)")


class Observed(list[tuple[str, str]]):
    """(method, status) of every call that the adapter reported."""

    def __call__(self, method: str, status: str) -> None:
        self.append((method, status))


def make_adapter(
    api_url: str,
    *,
    token: str = TOKEN,
    secret: str = SECRET,
    app_token: str = "",
    clock: Clock | None = None,
    observed: Observed | None = None,
) -> SlackAdapter:
    settings = SlackSettings(token, secret, api_url, app_token)
    observe = observed if observed is not None else Observed()
    return SlackAdapter(settings, clock or SystemClock(), observe, SHORT)


@web.middleware
async def _read_first(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    await request.read()
    return await handler(request)


@asynccontextmanager
async def serving(adapter: SlackAdapter, listener: socket.socket) -> AsyncIterator[None]:
    """The adapter's routes on ``listener``, behind a server that reads bodies first."""
    application = web.Application(middlewares=[_read_first], client_max_size=4 * MAX_BODY)
    application.router.add_routes(adapter.routes())
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await runner.cleanup()


def bound_socket() -> tuple[socket.socket, str]:
    """A socket of its own port, and the webhook's address on it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"


def pings(rendered: str) -> bool:
    return CONTROL.search(rendered) is not None


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
def place() -> Place:
    return Place("slack", TEAM, CHANNEL, "1700000000.000001")


@pytest.fixture
def person(place: Place) -> Person:
    return Person.at(place, ADA, "Ada")


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    """After every test: nothing was sent that Slack lets pass and Parley must never do."""
    async with FakeSlack() as fake:
        yield fake
    assert fake.violations == []


@pytest.fixture
async def adapter(slack: FakeSlack, observed: Observed) -> AsyncIterator[SlackAdapter]:
    """Entered, its webhook known to ``slack``."""
    listener, slack.events_url = bound_socket()
    adapter = make_adapter(slack.api_url, observed=observed)
    async with serving(adapter, listener), adapter:
        yield adapter


@asynccontextmanager
async def adapter_on_local_slack(folder: Path) -> AsyncIterator[tuple[SlackAdapter, LocalSlack]]:
    listener, events_url = bound_socket()
    async with running_local_slack(binary_or_skip(), folder, events_url) as local:
        adapter = make_adapter(local.api_url, token=BOT_TOKEN, secret=SIGNING_SECRET)
        async with serving(adapter, listener), adapter:
            yield adapter, local
