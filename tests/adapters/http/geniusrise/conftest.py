"""Geniusrise's API behind a password, with scripted conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.http.routes import MANNERS, routes
from bot.metrics import Metrics
from bot.server import Server, ServerSettings
from tests.adapters.http.conftest import MODEL
from tests.adapters.http.geniusrise.page import LOGIN
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations
from tests.fakes.readiness import always

PAGES_ORIGIN = "https://chat.example"


@pytest.fixture
def conversations() -> FakeConversations:
    return FakeConversations()


@pytest.fixture
async def server(conversations: FakeConversations, clock: FakeClock) -> AsyncIterator[Server]:
    settings = ServerSettings(
        port=0,
        basic_auth=dict([LOGIN]),
        cors_origins=(PAGES_ORIGIN, "null"),
        is_public=True,
        read_seconds=0.2,
        drain_seconds=0.2,
    )
    made = Server(settings, Metrics(), always())
    served = routes(conversations, model_names=lambda: (MODEL,), clock=clock)
    made.mount(served, manners=MANNERS)
    async with made:
        yield made
