"""What was said in a channel, told to whoever asks and to nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.discord.interactions.catching_up import DEAF, NOT_HERE, NOT_YOURS_TO_READ
from bot.turns.commands import CATCHING_UP, NOT_READ, NOT_TOLD, NOTHING_SAID
from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import SEND, FakeDiscord, Fault
from tests.fakes.discord_guild import ADA, ADULT, BOB, CHANNEL, DIRECT


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


async def test_the_newest_messages_are_summed_up_for_the_person_alone(
    talk: Talk, discord: FakeDiscord
) -> None:
    await discord.say("the lift is broken", user=BOB)
    await discord.say(f"<@{BOB}> who mends it?")
    asked = await discord.slash("parley", sub="catch-up")
    generation = await talk.generation()
    assert "Bob: the lift is broken\nAda: @Bob who mends it?" in generation.question
    generation.say("The lift is broken. " + "It is. " * 400)
    generation.finish()
    await discord.until(lambda: len(discord.whispers(ADA)) == 2)
    assert asked.original in discord.hidden
    assert discord.whispers(ADA)[0].startswith("The lift is broken. It is.")
    assert discord.texts(CHANNEL) == discord.texts(DIRECT) == []


async def test_in_a_thread_it_is_the_thread_that_is_summed_up(
    talk: Talk, discord: FakeDiscord
) -> None:
    await discord.say("not for the summary", user=BOB)
    thread, _ = await talk.answered("Why is the sky blue?", "Rayleigh.")
    talk.generator.replies.append("Because.")
    await discord.say("And the sea?", user=BOB, channel=thread)
    await discord.until(lambda: "Because." in discord.texts(thread))
    talk.generator.replies.append("Sky and sea.")
    await discord.slash("parley", sub="catch-up", channel=thread)
    await discord.until(lambda: "Sky and sea." in discord.whispers(ADA))
    question = talk.generator.generations[-1].question
    assert "Parley: Rayleigh.\nBob: And the sea?" in question
    assert "not for the summary" not in question


async def test_the_same_words_after_a_mention_do_it_in_a_direct_message(
    talk: Talk, discord: FakeDiscord
) -> None:
    await discord.say("the lift is broken", user=BOB)
    talk.generator.replies += ["It is broken.", "Bob."]
    await discord.ask("catch up")
    told = [f"What was said in <#{CHANNEL}>:", "It is broken."]
    await discord.until(lambda: discord.texts(DIRECT) == told)
    assert "catch up" not in talk.generator.generations[0].question.lower()
    await discord.until(lambda: discord.texts(CHANNEL) == [CATCHING_UP])
    await discord.say("Who said so?", channel=DIRECT)
    await discord.until(lambda: discord.texts(DIRECT)[-1] == "Bob.")


async def test_who_takes_no_direct_messages_is_told_so(talk: Talk, discord: FakeDiscord) -> None:
    await discord.say("the lift is broken", user=BOB)
    closed = {"code": 50007, "message": "Cannot send messages to this user"}
    discord.fail(SEND, Fault(403, closed))
    await discord.ask("catch up")
    await discord.until(lambda: discord.texts(CHANNEL) == [NOT_TOLD])
    assert not talk.generator.generations


async def test_only_so_much_is_read(talk: Talk, discord: FakeDiscord) -> None:
    for number in range(60):
        await discord.say(f"message {number}.", user=BOB)
    await discord.slash("parley", sub="catch-up")
    question = (await talk.generation()).question
    assert "message 9." not in question
    assert "message 10." in question
    assert "message 59." in question


async def test_where_nothing_was_said_lately_it_says_so(talk: Talk, discord: FakeDiscord) -> None:
    discord.keep(CHANNEL, BOB, "long ago", id="300000000000000000")
    discord.keep(CHANNEL, BOB, "", type=7)
    await discord.slash("parley", sub="catch-up")
    await discord.until(lambda: discord.whispers(ADA) == [NOTHING_SAID])


async def test_where_parley_may_not_read_it_says_so(talk: Talk, discord: FakeDiscord) -> None:
    discord.forbidden.add(("read", CHANNEL))
    await discord.slash("parley", sub="catch-up")
    await discord.until(lambda: discord.whispers(ADA) == [NOT_READ])


async def test_an_age_restricted_channel_is_not_summed_up(talk: Talk, discord: FakeDiscord) -> None:
    await discord.say("something", user=BOB, channel=ADULT)
    await discord.slash("parley", sub="catch-up", channel=ADULT)
    await discord.until(lambda: discord.whispers(ADA) == [NOT_HERE])


async def test_who_may_not_read_what_was_said_before_is_not_told(tmp_path: Path) -> None:
    async with FakeDiscord() as discord:
        hides = {"id": "800000000000000001", "type": 0, "allow": "0", "deny": str(1 << 16)}
        discord.channels[CHANNEL]["permission_overwrites"] = [hides]
        async with talking(tmp_path, discord):
            await discord.say("a secret", user=BOB)
            await discord.slash("parley", sub="catch-up")
            await discord.until(lambda: discord.whispers(ADA) == [NOT_YOURS_TO_READ])


async def test_without_the_text_of_messages_it_says_so(tmp_path: Path) -> None:
    async with FakeDiscord(message_content=False) as discord, talking(tmp_path, discord):
        await discord.say("the lift is broken", user=BOB)
        await discord.slash("parley", sub="catch-up")
        await discord.until(lambda: discord.whispers(ADA) == [DEAF])
