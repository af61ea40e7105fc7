"""Thumbs on Discord: under the reply as buttons, and as reactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.history import usage as stored
from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import ADA, BOB


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


async def voted(folder: Path, *ratings: int) -> None:
    """Until the usage log holds these."""

    def read() -> list[int]:
        return [row.rating for row in stored.read(folder / "parley.db", None)]

    async with asyncio.timeout(10):
        while await asyncio.to_thread(read) != [*ratings]:  # noqa: ASYNC110 - the log tells nobody
            await asyncio.sleep(0.02)


async def test_a_pressed_thumb_is_a_vote_that_only_its_presser_hears_of(
    talk: Talk, discord: FakeDiscord, tmp_path: Path
) -> None:
    question, reply = await talk.answered("Why?", "Because.")
    await discord.press(reply, "👍", user=BOB)
    await discord.until(lambda: discord.whispers(BOB))
    await voted(tmp_path, 1)
    await discord.press(reply, "👍", user=BOB)
    await discord.until(lambda: len(discord.whispers(BOB)) == 2)
    await voted(tmp_path, 0)
    assert discord.whispers(BOB) == ["Noted: 👍", "Your vote is taken back."]
    assert discord.whispers(ADA) == []
    assert discord.texts(question) == ["Because."]


@pytest.mark.parametrize(("emoji", "rating"), [("👍", 1), ("👎🏿", -1), ("👍🏽", 1)])
async def test_a_thumb_is_a_vote_until_it_is_taken_away(
    talk: Talk, discord: FakeDiscord, tmp_path: Path, emoji: str, rating: int
) -> None:
    _, reply = await talk.answered("Why?", "Because.")
    await discord.react(reply, emoji)
    await voted(tmp_path, rating)
    await discord.unreact(reply, "🎉")
    await discord.unreact(reply, emoji)
    await voted(tmp_path, 0)


async def test_a_thumb_still_counts_after_a_restart(discord: FakeDiscord, tmp_path: Path) -> None:
    async with talking(tmp_path, discord) as talk:
        _, reply = await talk.answered("Why?", "Because.")
    async with talking(tmp_path, discord):
        await discord.press(reply, "👎")
        await discord.until(lambda: discord.whispers(ADA))
    await voted(tmp_path, -1)
    async with talking(tmp_path, discord):
        await discord.press(reply, "👎")
        await voted(tmp_path, 0)
        await discord.react(reply, "👍", user=BOB)
        await voted(tmp_path, 1)
    async with talking(tmp_path, discord):
        await discord.unreact(reply, "👍", user=BOB)
        await voted(tmp_path, 0)
    assert discord.whispers(ADA) == ["Noted: 👎", "Your vote is taken back."]


async def test_whoever_changes_their_mind_hears_no_more_of_it(
    talk: Talk, discord: FakeDiscord, tmp_path: Path
) -> None:
    question, reply = await talk.answered("Why?", "Because.")
    await discord.press(reply, "👍", user=BOB)
    await voted(tmp_path, 1)
    await discord.press(reply, "👎", user=BOB)
    await voted(tmp_path, -1)
    await discord.press(reply, "👎", user=BOB)
    await discord.until(lambda: len(discord.whispers(BOB)) == 2)
    assert discord.whispers(BOB) == ["Noted: 👍", "Your vote is taken back."]
    assert discord.texts(question) == ["Because."]
