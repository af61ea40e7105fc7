"""Teams' adapter keeps what every adapter promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.teams.adapter import TeamsAdapter
from bot.types import Place
from tests.adapters.teams.conftest import HERE, Observed, introduce, make_adapter, pings, serving
from tests.contracts import adapter as contract
from tests.contracts.adapter import Fault
from tests.fakes import teams as wire
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import message

FAULTS = {
    Fault.RATE_LIMITED: wire.rate_limited(3),
    Fault.FAILED: wire.FAILS,
    Fault.DROPPED: wire.DROPS,
    Fault.DROPPED_AFTER: wire.DROPS_AFTER,
    Fault.SILENT: wire.HANGS,
    Fault.GARBAGE: wire.Fault(body="[not json"),
    Fault.GONE: wire.Fault(404, "ActivityNotFoundInConversation"),
    Fault.TOO_LONG: wire.Fault(413, "MessageSizeTooBig"),
    Fault.FORBIDDEN: wire.Fault(403, "BotNotInConversationRoster"),
    Fault.OTHER: wire.Fault(400, "ANewReason"),
}


class OnFake:
    def __init__(self, teams: FakeTeams) -> None:
        self.teams = teams

    async def shown(self, place: Place, message_id: str) -> str | None:
        return self.teams.text(message_id)

    async def ask(self, text: str) -> bool:
        asked = message(text, "channel", service_url=self.teams.url)
        return await self.teams.deliver(asked) == 202

    def pings(self, rendered: str) -> bool:
        return pings(rendered)

    def fail_next(self, call: str, fault: Fault) -> None:
        self.teams.fail(call, FAULTS[fault])


class TestInAChannel(contract.AdapterContract, contract.AdapterFaultContract):
    @pytest.fixture
    async def teams(self) -> AsyncIterator[FakeTeams]:
        """The contract makes a post again by hand after it failed."""
        async with FakeTeams(is_strict=False) as fake:
            yield fake
        assert fake.violations == []

    @pytest.fixture
    async def adapter(self, teams: FakeTeams, observed: Observed) -> AsyncIterator[TeamsAdapter]:
        adapter = make_adapter(teams, observed=observed)
        async with serving(adapter, teams), adapter:
            await introduce(adapter, teams)
            yield adapter

    @pytest.fixture
    def platform(self, teams: FakeTeams) -> OnFake:
        return OnFake(teams)


class TestInAPersonalChat(TestInAChannel):
    @pytest.fixture
    def place(self) -> Place:
        return HERE
