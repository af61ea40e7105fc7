"""A channel in which an admin has Parley listen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.discord.interactions.catching_up import DEAF
from bot.turns.commands import HEARD, NOT_HEARD
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


async def test_an_admin_decides_it_by_a_slash_command_which_everybody_sees(
    talk: Talk, discord: FakeDiscord
) -> None:
    here = Place("discord", GUILD, OTHER_CHANNEL, "")
    for is_on, told in ((True, HEARD), (False, NOT_HEARD)):
        asked = await discord.slash(
            "parley", sub="listen", on=is_on, user=BOSS, channel=OTHER_CHANNEL
        )
        await discord.until(lambda: discord.answer_to(asked) == told)  # noqa: B023
        assert talk.service.listens(here) is is_on
    assert discord.texts(OTHER_CHANNEL) == [HEARD, NOT_HEARD]


async def test_without_a_choice_it_says_how_it_is(talk: Talk, discord: FakeDiscord) -> None:
    asked = await discord.slash("parley", sub="listen", channel=OTHER_CHANNEL)
    await discord.until(lambda: discord.answer_to(asked) == NOT_HEARD)
    asked = await discord.slash("parley", sub="listen")
    await discord.until(lambda: discord.answer_to(asked) == HEARD)


async def test_nobody_else_decides_it(talk: Talk, discord: FakeDiscord) -> None:
    await discord.slash("parley", sub="listen", on=False, user=BOB)
    await discord.until(lambda: discord.whispers(BOB) == ["Only an admin can decide that."])
    assert talk.service.listens(Place("discord", GUILD, CHANNEL, ""))


async def test_where_discord_keeps_messages_from_it_it_says_so(tmp_path: Path) -> None:
    async with (
        FakeDiscord(message_content=False) as discord,
        talking(tmp_path, discord, access={"admins": [f"discord:{GUILD}/{BOSS}"]}) as talk,
    ):
        await discord.slash("parley", sub="listen", on=True, user=BOSS)
        await discord.until(lambda: discord.whispers(BOSS) == [DEAF])
        assert not talk.service.listens(Place("discord", GUILD, CHANNEL, ""))
