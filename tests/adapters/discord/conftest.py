"""Discord's adapter on the strict fake."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.discord.adapter import LIMITS, DiscordAdapter
from adapters.discord.settings import DiscordSettings
from bot.clock import SystemClock
from bot.types import Person, Personality, Place
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.discord_guild import ADA, CHANNEL, GUILD

SHORT = replace(LIMITS, call_timeout=3.0)  # a busy machine may stall for one
PERSONALITIES = (
    Personality("assistant", "Assistant", "You are Parley.", "Helps."),
    Personality("pirate", "Pirate", "You are a pirate.", "Arr."),
)
_NO_PLACE = re.compile(
    r"\\[^0-9A-Za-z\s]|```.+?```|(`+).+?\1|https?://\S+|[\w.+-]+@(?:[\w-]+\.)+\w+", re.DOTALL
)
"""Code, an address, mail: nothing pings there."""

_PING = re.compile(r"@(?:everyone|here)(?!\w)|<(?:@[!&]?\d|#\d)", re.IGNORECASE)


class Observed(list[tuple[str, str]]):
    """(method, status) of every call that the adapter reported."""

    def __call__(self, method: str, status: str) -> None:
        self.append((method, status))


def make_adapter(
    discord: FakeDiscord,
    *,
    token: str = TOKEN,
    observed: Observed | None = None,
    token_seconds: float = 870.0,
    **settings: Any,
) -> DiscordAdapter:
    return DiscordAdapter(
        DiscordSettings(token, discord.api_url, discord.gateway_url, **settings),
        SystemClock(),
        observed if observed is not None else Observed(),
        lambda: PERSONALITIES,
        SHORT,
        token_seconds,
    )


def pings(rendered: str) -> bool:
    return _PING.search(_NO_PLACE.sub(" ", rendered)) is not None


@pytest.fixture(autouse=True)
def _ready_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.discord.api.client._READY_PAUSE", 0.05)


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
def place() -> Place:
    return Place("discord", GUILD, CHANNEL, "1")


@pytest.fixture
def person(place: Place) -> Person:
    return Person.at(place, ADA, "Ada")


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    """After every test: nothing was sent that Discord lets pass and Parley must never do."""
    async with FakeDiscord() as fake:
        yield fake
    assert fake.violations == []


@pytest.fixture
async def adapter(discord: FakeDiscord, observed: Observed) -> AsyncIterator[DiscordAdapter]:
    adapter = make_adapter(discord, observed=observed)
    async with adapter:
        yield adapter
