"""A hub and a cache for each test, and nothing of the person's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from bot.inference.hub.cache import HubCache
from bot.inference.hub.client import HubClient
from tests.bot.inference.hub.scene import Scene
from tests.fakes.hub import running_hub


@pytest.fixture(autouse=True, scope="module")
def _no_connection_stays() -> Iterator[None]:
    yield
    close_session()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with running_hub() as hub:
        yield Scene(hub, HubClient(hub.url), HubCache(tmp_path / "cache"))
