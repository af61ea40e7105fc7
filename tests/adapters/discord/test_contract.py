"""Discord's adapter keeps what every adapter promises."""

from __future__ import annotations

import pytest

from bot.types import Place
from tests.adapters.discord.conftest import pings
from tests.contracts import adapter as contract
from tests.contracts.adapter import Fault
from tests.fakes import discord as wire
from tests.fakes.discord import DELETE, EDIT, SEND, FakeDiscord
from tests.fakes.discord_guild import (
    MISSING_PERMISSIONS,
    TOO_LONG,
    UNKNOWN_MESSAGE,
    Refused,
)

ROUTES = {"post": SEND, "edit": EDIT, "delete": DELETE}
DEFERRED = 5


def refused(refusal: Refused) -> wire.Fault:
    return wire.Fault(refusal.status, refusal.body)


FAULTS = {
    Fault.RATE_LIMITED: wire.banned(3),
    Fault.FAILED: wire.OVERLOADED,
    Fault.DROPPED: wire.DROPS,
    Fault.DROPPED_AFTER: wire.DROPS_AFTER,
    Fault.SILENT: wire.HANGS,
    Fault.GARBAGE: wire.Fault(200, "[not json", {"Content-Type": "application/json"}),
    Fault.GONE: refused(UNKNOWN_MESSAGE),
    Fault.TOO_LONG: refused(TOO_LONG),
    Fault.FORBIDDEN: refused(MISSING_PERMISSIONS),
    Fault.OTHER: wire.Fault(400, {"code": 99999, "message": "A new reason"}),
}


class OnFake:
    def __init__(self, discord: FakeDiscord) -> None:
        self.discord = discord

    async def shown(self, place: Place, message_id: str) -> str | None:
        return self.discord.text(message_id.rpartition("/")[2])

    async def ask(self, text: str) -> bool:
        asked = await self.discord.slash("ask", question=text)
        return asked.callback == DEFERRED

    def pings(self, rendered: str) -> bool:
        return pings(rendered)

    def fail_next(self, call: str, fault: Fault) -> None:
        """aiohttp sends a DELETE again by itself when a used connection was dropped."""
        times = 2 if (call, fault) == ("delete", Fault.DROPPED) else 1
        self.discord.fail(ROUTES[call], *[FAULTS[fault]] * times)


class TestOnFake(
    contract.AdapterContract, contract.FindsPostsContract, contract.AdapterFaultContract
):
    @pytest.fixture
    def platform(self, discord: FakeDiscord) -> OnFake:
        return OnFake(discord)
