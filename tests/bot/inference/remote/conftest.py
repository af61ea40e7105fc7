from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.model_server import FakeModelServer


@pytest.fixture
async def server() -> AsyncIterator[FakeModelServer]:
    async with FakeModelServer() as server:
        yield server


@pytest.fixture
async def other() -> AsyncIterator[FakeModelServer]:
    async with FakeModelServer() as server:
        yield server
