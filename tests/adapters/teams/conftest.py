"""Teams' adapter on the strict fake."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler as WebHandler

from adapters.teams.adapter import LIMITS, TeamsAdapter
from adapters.teams.settings import TeamsSettings, token_source
from adapters.teams.webhook import PATH
from bot.adapter_support.connection import MAX_BODY
from bot.clock import SystemClock
from bot.limits import Limits
from bot.ports import Clock
from bot.types import Person, Place
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import ADA_ENTRA, CHANNEL, PERSONAL, ROOT, TENANT

SHORT = replace(LIMITS, call_timeout=3.0)  # a busy machine may stall for one
TAG = re.compile(r"<\s*/?\s*at\b", re.IGNORECASE)
HERE = Place("teams", TENANT, PERSONAL, "")
IN_CHANNEL = Place("teams", TENANT, CHANNEL, ROOT)


class Observed(list[tuple[str, str]]):
    """(method, status) of every call that the adapter reported."""

    def __call__(self, method: str, status: str) -> None:
        self.append((method, status))


def make_adapter(
    teams: FakeTeams,
    *,
    clock: Clock | None = None,
    observed: Observed | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
    limits: Limits = SHORT,
    **more: str,
) -> TeamsAdapter:
    settings = TeamsSettings.read(teams.settings(**more))
    observe = observed if observed is not None else Observed()
    source = token_source(settings, environ or {})
    return TeamsAdapter(settings, source, clock or SystemClock(), observe, limits, folder)


@web.middleware
async def _read_first(request: web.Request, handler: WebHandler) -> web.StreamResponse:
    await request.read()
    return await handler(request)


@asynccontextmanager
async def serving(adapter: TeamsAdapter, teams: FakeTeams) -> AsyncIterator[None]:
    """The adapter's routes on a port of their own, known to ``teams``."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    teams.bot_url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
    application = web.Application(middlewares=[_read_first], client_max_size=4 * MAX_BODY)
    application.router.add_routes(adapter.routes())
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        yield
    finally:
        await runner.cleanup()


def pings(rendered: str) -> bool:
    return TAG.search(rendered) is not None


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
def place() -> Place:
    return IN_CHANNEL


@pytest.fixture
def person(place: Place) -> Person:
    return Person.at(place, ADA_ENTRA, "Ada")


@pytest.fixture
async def teams() -> AsyncIterator[FakeTeams]:
    """After every test: nothing was sent that Teams should not have got."""
    async with FakeTeams() as fake:
        yield fake
    assert fake.violations == []


@pytest.fixture
async def adapter(teams: FakeTeams, observed: Observed) -> AsyncIterator[TeamsAdapter]:
    """Entered, its webhook known to ``teams``, and Teams' address known to it."""
    adapter = make_adapter(teams, observed=observed)
    async with serving(adapter, teams), adapter:
        await introduce(adapter, teams)
        yield adapter


async def introduce(adapter: TeamsAdapter, teams: FakeTeams) -> None:
    """Somebody has written before, in a personal chat."""
    from tests.contracts.adapter import listening
    from tests.fakes.teams_activities import message

    async def handler(_: object) -> None:
        pass

    async with listening(adapter, handler):
        assert await teams.deliver(message("hello", service_url=teams.url)) == 202
