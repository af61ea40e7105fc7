"""People on Discord and the real Parley: its own process, the real model, the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import BOT, DIRECT
from tests.ports import free_port
from tests.scenarios.discord_scene import settings
from tests.scenarios.parley import Parley
from tests.scenarios.personalities import RAMBLING, make_personalities

pytestmark = pytest.mark.model


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        yield fake
    assert fake.violations == []


@pytest.fixture
async def parley(discord: FakeDiscord, tmp_path: Path) -> AsyncIterator[Parley]:
    personalities = str(make_personalities(tmp_path / "personalities"))
    own = settings(discord, PARLEY_PERSONALITIES=personalities)
    parley = Parley(tmp_path, free_port(), own, RAMBLING)
    try:
        await parley.start()
        await discord.until(lambda: discord.gateway.is_connected and discord.commands)
        yield parley
    finally:
        await parley.kill()


def is_final(discord: FakeDiscord, message: str) -> bool:
    return "Retry" in discord.buttons(message) if message in discord.messages else False


async def reply_in(discord: FakeDiscord, channel: str, number: int = 1) -> str:
    """The ``number``-th finished reply in a channel."""

    def finished() -> list[str]:
        own = [
            m
            for m in discord.messages.values()
            if m["channel_id"] == channel and m["author"]["id"] == BOT
        ]
        return [m["id"] for m in own if is_final(discord, m["id"])]

    await discord.until(lambda: len(finished()) >= number, 60)
    return finished()[number - 1]


async def test_one_walk_through_all_that_a_person_can_do(
    discord: FakeDiscord, parley: Parley
) -> None:
    question = await discord.ask("Name three colours.")
    reply = await reply_in(discord, question)
    assert discord.channels[question]["name"] == "Name three colours."
    assert discord.text(reply) not in ("", None)
    growth = [text for _, message, text in discord.shown if message == reply]
    assert len(growth) > 1, "the reply did not grow"

    chosen = await discord.slash("parley", channel=question, sub="personality", name="rambler")
    await discord.until(lambda: "from now on" in (discord.answer_to(chosen) or ""))
    await discord.say("And a story?", channel=question)
    second = await reply_in(discord, question, 2)

    await discord.say("Hello there", channel=DIRECT)
    await reply_in(discord, DIRECT)

    asked = await discord.slash("ask", question="Say hello.")
    assert asked.callback == 5
    await discord.until(lambda: is_final(discord, asked.original), 60)

    status = await discord.slash("parley", sub="status")
    await discord.until(lambda: "Model: smollm2" in (discord.answer_to(status) or ""))

    await discord.press(second, "Retry")
    await discord.until(lambda: "Stop" in discord.buttons(second))
    await discord.press(second, "Stop")
    await discord.until(lambda: is_final(discord, second))
    assert "opped" in (discord.text(second) or "")
    assert discord.num_rate_limited == 0
    assert discord.max_in_flight == 1
