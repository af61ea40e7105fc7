"""A message on Discord that an edit makes a question, or a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.stored import TurnState
from bot.turns.questions import EMPTY
from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import BOT, CHANNEL


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


async def test_a_mention_alone_becomes_a_question(talk: Talk, discord: FakeDiscord) -> None:
    message = await discord.ask("")
    await discord.says(EMPTY, CHANNEL)
    talk.generator.replies.append("It is blue.")
    await discord.change_text(message, f"<@{BOT}> What colour is the sky?")
    await discord.says("It is blue.", message)
    assert discord.channels[message]["name"] == "What colour is the sky?"


async def test_a_mention_is_added_by_an_edit(talk: Talk, discord: FakeDiscord) -> None:
    message = await discord.say("What colour is the sky?")
    talk.generator.replies.append("It is blue.")
    await discord.change_text(message, f"<@{BOT}> What colour is the sky?")
    await discord.says("It is blue.", message)


async def test_a_mistyped_stop_stops(talk: Talk, discord: FakeDiscord) -> None:
    question, generation = await talk.asked("Count to a million.")
    generation.say("One, two")
    await discord.says("One, two", question)
    typo = await discord.say("sotp", channel=question)
    await discord.change_text(typo, "stop")
    await talk.is_over(question)
    assert await talk.state(question) is TurnState.STOPPED
    assert len(talk.generator.generations) == 1
