"""Slack's adapter keeps what every adapter promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.slack.adapter import SlackAdapter
from bot.types import Place
from tests.adapters.slack.conftest import adapter_on_local_slack, pings
from tests.contracts import adapter as contract
from tests.contracts.adapter import Fault
from tests.fakes import slack as wire
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_api import BOT, CHANNEL
from tests.local_slack import LocalSlack

METHODS = {"post": "chat.postMessage", "edit": "chat.update", "delete": "chat.delete"}
FAULTS = {
    Fault.RATE_LIMITED: wire.rate_limited(3),
    Fault.FAILED: wire.FAILS,
    Fault.DROPPED: wire.DROPS,
    Fault.DROPPED_AFTER: wire.DROPS_AFTER,
    Fault.SILENT: wire.HANGS,
    Fault.GARBAGE: wire.Fault(body="[not json"),
    Fault.GONE: wire.Fault(error="message_not_found"),
    Fault.TOO_LONG: wire.Fault(error="msg_too_long"),
    Fault.FORBIDDEN: wire.Fault(error="not_in_channel"),
    Fault.OTHER: wire.Fault(error="a_new_reason"),
}


class OnFake:
    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack

    async def shown(self, place: Place, message_id: str) -> str | None:
        return self.slack.text(message_id, place.channel)

    async def ask(self, text: str) -> bool:
        question = {"type": "message", "user": "U01", "text": f"<@{BOT}> {text}"}
        event = {**question, "channel": CHANNEL, "ts": "1700000100.000001"}
        return await self.slack.deliver(event) == 200

    def pings(self, rendered: str) -> bool:
        return pings(rendered)

    def fail_next(self, call: str, fault: Fault) -> None:
        self.slack.fail(METHODS[call], FAULTS[fault])


class OnLocalSlack:
    def __init__(self, slack: LocalSlack) -> None:
        self.slack = slack

    async def shown(self, place: Place, message_id: str) -> str | None:
        return await self.slack.text(message_id, place.channel)

    async def ask(self, text: str) -> bool:
        before = len(await self.slack.log())
        await self.slack.message(f"<@{BOT}> {text}")
        answers = [one["summary"] for one in (await self.slack.log())[before:]]
        statuses = [summary for summary in answers if summary.startswith("HTTP ")]
        return bool(statuses) and set(statuses) == {"HTTP 200"}

    def pings(self, rendered: str) -> bool:
        return pings(rendered)


class TestOnFake(
    contract.AdapterContract, contract.FindsPostsContract, contract.AdapterFaultContract
):
    @pytest.fixture
    def platform(self, slack: FakeSlack, place: Place) -> OnFake:
        root = {"user": "U01", "text": "the root", "channel": place.channel, "ts": place.thread}
        slack.messages[place.channel, place.thread] = root
        return OnFake(slack)

    @pytest.fixture(autouse=True)
    def _platform(self, platform: OnFake) -> None:
        """The thread exists in every test."""


@pytest.mark.local_slack
class TestOnLocalSlack(contract.AdapterContract):
    """It keeps no message's metadata, so that posts are found on the fake only."""

    @pytest.fixture
    async def both(self, tmp_path: Path) -> AsyncIterator[tuple[SlackAdapter, LocalSlack]]:
        async with adapter_on_local_slack(tmp_path) as both:
            yield both

    @pytest.fixture
    def adapter(self, both: tuple[SlackAdapter, LocalSlack]) -> SlackAdapter:
        return both[0]

    @pytest.fixture
    def platform(self, both: tuple[SlackAdapter, LocalSlack]) -> OnLocalSlack:
        return OnLocalSlack(both[1])
