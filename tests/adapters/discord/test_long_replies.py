"""Replies that take longer than an interaction's token lives, in a time that leaps ahead.

The fifteen minutes are Discord's own on both sides: Parley hands over before they are over,
and the fake refuses a token after them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.clock import SystemClock
from tests.adapters.discord.talk import talking
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import CHANNEL, DIRECT
from tests.fakes.generator import ScriptedGeneration

MINUTES = 16


class LeapingClock(SystemClock):
    """The real time, some minutes ahead."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def leap(self, seconds: float) -> None:
        self._ahead += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._ahead)


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


async def spoken(discord: FakeDiscord, clock: LeapingClock, generation: ScriptedGeneration) -> str:
    """A word each minute, each seen before the next minute begins; the whole text."""
    text = ""
    for minute in range(MINUTES):
        generation.say(f"minute{minute} ")
        text = f"{text} minute{minute}".strip()
        await discord.until(lambda: any(seen == text for _, _, seen in discord.shown))  # noqa: B023
        clock.leap(60.0)
    generation.finish()
    return text


async def test_an_answer_of_sixteen_minutes_goes_on_in_an_ordinary_message(
    tmp_path: Path, clock: LeapingClock
) -> None:
    async with FakeDiscord(clock) as discord, talking(tmp_path, discord, clock=clock) as talk:
        asked = await discord.slash("ask", question="Why?")
        text = await spoken(discord, clock, await talk.generation())
        reply = await discord.says(text, CHANNEL)
        await talk.ended(reply)
        assert reply != asked.original
        assert discord.texts(CHANNEL) == [text]
        assert "interaction_metadata" not in discord.messages[reply]
        assert discord.violations == []


async def test_a_private_answer_of_sixteen_minutes_goes_to_its_asker_directly(
    tmp_path: Path, clock: LeapingClock
) -> None:
    async with FakeDiscord(clock) as discord, talking(tmp_path, discord, clock=clock) as talk:
        await discord.slash("ask", question="Secret?", private=True)
        text = await spoken(discord, clock, await talk.generation())
        await discord.says(text, DIRECT)
        assert discord.texts(CHANNEL) == []
        assert discord.violations == []


async def test_a_message_older_than_an_hour_is_replaced_and_not_edited(
    tmp_path: Path, clock: LeapingClock
) -> None:
    async with FakeDiscord(clock) as discord, talking(tmp_path, discord, clock=clock) as talk:
        question, generation = await talk.asked("Why?")
        first = await discord.says("Thinking…", question)
        clock.leap(3601.0)
        generation.say("Because.")
        generation.finish()
        assert await discord.says("Because.", question) != first
        await discord.until(lambda: discord.texts(question) == ["Because."])
        assert discord.violations == []
