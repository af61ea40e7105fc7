"""A channel in which an admin had Parley listen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.types import Place
from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import ADA, BOB, BOSS, CHANNEL, GUILD, OTHER_CHANNEL


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord, access={"admins": [f"discord:{GUILD}/{BOSS}"]}) as talk:
        await discord.ask("listen on", user=BOSS)
        await discord.until(lambda: talk.service.listens(Place("discord", GUILD, CHANNEL, "")))
        yield talk


async def test_a_message_needs_no_mention_and_opens_its_thread(
    talk: Talk, discord: FakeDiscord
) -> None:
    talk.generator.replies.append("Blue.")
    question = await discord.say("What colour is the sky?", user=BOB)
    await discord.says("Blue.", question)
    assert discord.channels[question]["parent_id"] == CHANNEL


async def test_what_is_for_somebody_else_or_elsewhere_is_left_alone(
    talk: Talk, discord: FakeDiscord
) -> None:
    lunch = await discord.say(f"<@{BOB}> lunch?", user=ADA)
    await discord.say("Yes!", user=BOB, reply_to=lunch)
    await discord.say("Is anybody here?", user=ADA, channel=OTHER_CHANNEL)
    await talk.quiet()
    assert not talk.generator.generations
