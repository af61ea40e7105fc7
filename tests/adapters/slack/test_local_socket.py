"""Socket Mode with a Slack that is not ours: local-slack from npm."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.types import Incoming, Label, Question, StopRequest
from tests.adapters.slack.conftest import make_adapter
from tests.contracts.adapter import listening
from tests.local_slack import APP_TOKEN, BOT, BOT_TOKEN, binary_or_skip, running_local_slack

pytestmark = pytest.mark.local_slack


async def test_a_person_asks_sees_the_reply_and_stops_it(tmp_path: Path) -> None:
    taken: asyncio.Queue[Incoming] = asyncio.Queue()
    async with (
        running_local_slack(binary_or_skip(), tmp_path, "") as local,
        make_adapter(local.api_url, token=BOT_TOKEN, secret="", app_token=APP_TOKEN) as adapter,
        listening(adapter, taken.put),
        asyncio.timeout(10),
    ):
        while taken.empty():  # until the line stands
            await local.message(f"<@{BOT}> hello")
        asked = await taken.get()
        assert isinstance(asked, Question)
        assert asked.text == "hello"
        ts = await adapter.post(asked.place, adapter.render("**Hi**"), Label("t1", 0))
        assert await local.text(ts) is not None
        await local.reaction(ts, "octagonal_sign")
        while not isinstance(stop := await taken.get(), StopRequest):
            pass
        assert stop.message_id == ts
