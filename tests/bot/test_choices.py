"""Buttons under what Parley says, on a platform that has them; and its greeting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import NotPermitted, PlatformRefused
from bot.types import Choice, Command, Label, Place, Rendered
from tests.bot.talk import ADA, Talk, place, talking
from tests.fakes.clock import FakeClock
from tests.fakes.platform import Call, RichFakePlatform


class PlatformWithButtons(RichFakePlatform):
    """``offered``: what the buttons under each message say when they are pressed."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.offered: list[list[str]] = []

    async def offer(
        self, place: Place, text: Rendered, choices: Sequence[Choice], label: Label
    ) -> str:
        message_id = await self._arrive(Call(0.0, "offer", place, None, text, label), self._post)
        self.offered.append([choice.says for choice in choices])
        return message_id


def with_buttons(talk: Talk) -> PlatformWithButtons:
    assert isinstance(talk.platform, PlatformWithButtons)
    return talk.platform


async def test_personalities_are_offered_as_buttons_that_say_the_command(tmp_path: Path) -> None:
    clock = FakeClock()
    async with talking(tmp_path, clock=clock, platform=PlatformWithButtons(clock)) as talk:
        await talk.ask("personality")
        await talk.quiet()
        assert with_buttons(talk).offered == [["personality assistant", "personality pirate"]]
        assert "Arr." in talk.visible()[0]


async def test_a_platform_without_buttons_gets_the_text_alone(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.ask("personality")
        await talk.quiet()
        (text,) = talk.visible()
        assert "pirate" in text


async def test_buttons_that_are_refused_are_left_out(tmp_path: Path) -> None:
    clock = FakeClock()
    async with talking(tmp_path, clock=clock, platform=PlatformWithButtons(clock)) as talk:
        talk.platform.fail("offer", PlatformRefused("offer", "bad card"))
        await talk.ask("help")
        await talk.quiet()
        (text,) = talk.visible()
        assert "retry" in text


async def test_where_nothing_may_be_said_nothing_is(tmp_path: Path) -> None:
    clock = FakeClock()
    async with talking(tmp_path, clock=clock, platform=PlatformWithButtons(clock)) as talk:
        talk.platform.fail("offer", NotPermitted("Removed."))
        await talk.ask("help")
        await talk.quiet()
        assert talk.visible() == []


@pytest.mark.parametrize("num_told", [1, 3])
async def test_whoever_adds_parley_is_greeted_once(tmp_path: Path, num_told: int) -> None:
    clock = FakeClock()
    async with talking(tmp_path, clock=clock, platform=PlatformWithButtons(clock)) as talk:
        added = Command(event_id="greet/C", place=place(), person=ADA, name="greet")
        for _ in range(num_told):
            await talk.service.handle(replace(added))
        await talk.quiet()
        (text,) = talk.visible()
        assert "Assistant" in text
        assert with_buttons(talk).offered == [["personality", "status", "help"]]
