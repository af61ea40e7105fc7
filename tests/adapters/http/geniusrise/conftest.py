"""Geniusrise's API behind a password, with scripted conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.http.routes import MANNERS, routes
from bot.metrics import Metrics
from bot.ports import Conversations
from bot.server import Server, ServerSettings
from tests.adapters.http.conftest import MODEL
from tests.adapters.http.geniusrise.page import LOGIN
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import FakeConversations
from tests.fakes.readiness import always

PAGES_ORIGIN = "https://chat.example"


def locked_server(conversations: Conversations, clock: FakeClock, *origins: str) -> Server:
    """Everybody needs the password; pages of these ``origins`` may call."""
    settings = ServerSettings(
        port=0,
        basic_auth=dict([LOGIN]),
        cors_origins=origins,
        is_public=True,
        read_seconds=0.2,
        drain_seconds=0.2,
    )
    server = Server(settings, Metrics(), always())
    server.mount(routes(conversations, model_names=lambda: (MODEL,), clock=clock), manners=MANNERS)
    return server


@pytest.fixture
def conversations() -> FakeConversations:
    return FakeConversations()


@pytest.fixture
async def server(conversations: FakeConversations, clock: FakeClock) -> AsyncIterator[Server]:
    async with locked_server(conversations, clock, PAGES_ORIGIN, "null") as server:
        yield server
