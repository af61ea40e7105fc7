"""An edited message says what it would be now, were it new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.discord.adapter import DiscordAdapter
from bot.types import Incoming, Place, Question, QuestionEdited
from tests.contracts.adapter import listening
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import ADULT, BOB, BOSS, BOT, CHANNEL, DIRECT, GUILD

Heard = asyncio.Queue[Incoming]


@pytest.fixture
async def heard(adapter: DiscordAdapter) -> AsyncIterator[Heard]:
    """What is delivered to Parley."""
    queue: Heard = asyncio.Queue()
    async with listening(adapter, queue.put):
        yield queue


async def edit_of(heard: Heard, message: str) -> QuestionEdited:
    async with asyncio.timeout(10):
        while not (
            isinstance(one := await heard.get(), QuestionEdited)
            and one.message_id.endswith(f"/{message}")
        ):
            pass
    return one


@pytest.mark.parametrize("first", ["Why?", f"<@{BOT}>", f"`<@{BOT}>` Why?", f"<@{BOB}> Why?"])
async def test_an_edit_that_addresses_parley_is_a_question(
    heard: Heard, discord: FakeDiscord, first: str
) -> None:
    message = await discord.say(first, user=BOSS)
    await discord.change_text(message, f"<@{BOT}> Why is the sky blue?")
    question = (await edit_of(heard, message)).becomes
    assert isinstance(question, Question)
    assert (question.text, question.is_mention) == ("Why is the sky blue?", True)
    assert question.place == Place("discord", GUILD, CHANNEL, message)
    assert question.event_id == message
    assert question.person.is_moderator


@pytest.mark.parametrize("text", ["Never mind.", f"`<@{BOT}>` is its name.", f"<@{BOB}> look"])
async def test_an_edit_that_addresses_nobody_or_somebody_else_is_none(
    heard: Heard, discord: FakeDiscord, text: str
) -> None:
    message = await discord.ask("Why?")
    await discord.change_text(message, text)
    assert (await edit_of(heard, message)).becomes is None


async def test_an_edited_reply_to_parley_is_a_question_of_that_chain(
    heard: Heard, discord: FakeDiscord
) -> None:
    answer = await discord.say("Two.", user=BOT)
    message = await discord.say("And thn?", reply_to=answer)
    await discord.change_text(message, "And then?")
    question = (await edit_of(heard, message)).becomes
    assert isinstance(question, Question)
    assert (question.text, question.place.thread) == ("And then?", answer)


async def test_an_edited_direct_message_is_a_question_with_its_files(
    heard: Heard, discord: FakeDiscord
) -> None:
    prices = discord.attached("prices.csv", b"apple,3\n", "text/csv")
    message = await discord.say("sotp", channel=DIRECT, attachments=[prices])
    await discord.change_text(message, "stop")
    question = (await edit_of(heard, message)).becomes
    assert isinstance(question, Question)
    assert (question.text, question.is_direct) == ("stop", True)
    assert [file.name for file in question.attachments] == ["prices.csv"]


async def test_an_edit_where_parley_does_not_answer_says_why(
    heard: Heard, discord: FakeDiscord
) -> None:
    message = await discord.say("Why?", channel=ADULT)
    await discord.change_text(message, f"<@{BOT}> Why?")
    question = (await edit_of(heard, message)).becomes
    assert isinstance(question, Question)
    assert question.barred
