"""Pulling the plug on a Parley that speaks on Discord: its own process, the real model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fakes.discord import SEND, FakeDiscord, Fault
from tests.fakes.discord_guild import CHANNEL
from tests.scenarios.parley import Parley
from tests.scenarios.test_discord_walk import free_port, is_final, settings

pytestmark = pytest.mark.model

SECONDS = 60
STORY = "Tell me a long story about a lighthouse."


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        yield fake
    assert fake.violations == []


@pytest.fixture
async def parley(discord: FakeDiscord, tmp_path: Path) -> AsyncIterator[Parley]:
    parley = Parley(
        tmp_path, free_port(), settings(discord, PARLEY_RUNNING="1", PARLEY_MAX_TOKENS="300")
    )
    try:
        await parley.start()
        await discord.until(lambda: discord.gateway.is_connected and discord.commands)
        yield parley
    finally:
        await parley.kill()


def reads(discord: FakeDiscord, channel: str, *beginnings: str) -> Callable[[], bool]:
    return lambda: any(text.startswith(beginnings) for text in discord.texts(channel))


def replies(discord: FakeDiscord, channel: str) -> list[str]:
    own = [m for m in discord.messages.values() if m["channel_id"] == channel]
    return [m["id"] for m in own if m["author"]["bot"]]


async def finished_alone(discord: FakeDiscord, channel: str) -> None:
    """One reply, and it is a finished one."""
    await discord.until(
        lambda: any(is_final(discord, each) for each in replies(discord, channel)), SECONDS
    )
    (reply,) = replies(discord, channel)
    assert not (discord.text(reply) or "").startswith(("Thinking", "You are"))


async def test_while_a_reply_streams_it_is_finished_in_the_same_message(
    discord: FakeDiscord, parley: Parley
) -> None:
    question = await discord.ask(STORY)
    await discord.until(lambda: len(discord.shown) > 2, SECONDS)
    (before,) = replies(discord, question)
    await parley.kill()
    await parley.start()
    await finished_alone(discord, question)
    assert replies(discord, question) == [before]


async def test_while_questions_wait_none_is_lost(discord: FakeDiscord, parley: Parley) -> None:
    first = await discord.ask(STORY)
    second = await discord.ask("Say yes.")
    await discord.until(reads(discord, second, "Thinking", "You are"), SECONDS)
    await parley.kill()
    await parley.start()
    await finished_alone(discord, first)
    await finished_alone(discord, second)


async def test_between_the_post_and_its_record_no_second_message_appears(
    discord: FakeDiscord, parley: Parley
) -> None:
    discord.fail(SEND, Fault(hangs=True, happens=True))
    question = await discord.ask("Say yes.")
    await discord.until(lambda: replies(discord, question), SECONDS)
    await parley.kill()
    await parley.start()
    await finished_alone(discord, question)


async def test_an_answer_to_a_command_is_finished_by_the_next_process(
    discord: FakeDiscord, parley: Parley
) -> None:
    asked = await discord.slash("ask", question=STORY)
    await discord.until(lambda: len(discord.shown) > 2, SECONDS)
    await parley.kill()
    await parley.start()
    await discord.until(lambda: is_final(discord, asked.original), SECONDS)
    assert replies(discord, CHANNEL) == [asked.original]


async def test_a_privileged_intent_refused_is_one_sentence_and_parley_goes_on(
    discord: FakeDiscord, parley: Parley
) -> None:
    discord.gateway.refuse_with = 4014
    await discord.gateway.close(4014)
    await discord.until(lambda: "close code 4014" in parley.output, SECONDS)
    assert "Traceback" not in parley.output
    discord.gateway.refuse_with = None
    question = await discord.ask("Say yes.")
    await discord.until(lambda: discord.gateway.is_connected, SECONDS)
    again = await discord.ask("Say yes.")
    await finished_alone(discord, again)
    assert question != again


async def test_a_term_signal_ends_with_zero_and_the_line_closed(
    discord: FakeDiscord, parley: Parley
) -> None:
    assert await parley.stop() == 0
    await discord.until(lambda: not discord.gateway.is_connected)
