"""Discord delivers nothing twice: whoever waits in vain, since nothing could be stored, is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.discord.interactions import handler
from tests.adapters.discord.talk import Talk, talking
from tests.bot.talk import locked
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import BOB, BOT, CHANNEL, DIRECT

SORRY = "I cannot get at my memory of conversations at the moment; please ask again in a minute."


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord, busy_timeout=0.2) as talk:
        yield talk


async def test_a_question_in_a_channel_is_apologised_for_and_may_be_asked_again(
    talk: Talk, discord: FakeDiscord, tmp_path: Path
) -> None:
    with locked(tmp_path):
        await discord.ask("Why?")
        await discord.says(SORRY, CHANNEL)
    await talk.answered("Why?", "Because.")


async def test_so_is_a_direct_message(talk: Talk, discord: FakeDiscord, tmp_path: Path) -> None:
    with locked(tmp_path):
        await discord.say("Why?", channel=DIRECT)
        await discord.says(SORRY, DIRECT)


async def test_so_is_what_is_said_without_a_mention_in_a_thread_that_parley_opened(
    talk: Talk, discord: FakeDiscord, tmp_path: Path
) -> None:
    question, _ = await talk.answered("Why?", "Because.")
    with locked(tmp_path):
        await discord.say("And why is that?", channel=question)
        await discord.says(SORRY, question)
        assert discord.texts(question) == ["Because.", SORRY]


async def test_what_people_say_to_each_other_there_is_not(
    talk: Talk, discord: FakeDiscord, tmp_path: Path
) -> None:
    question, _ = await talk.answered("Why?", "Because.")
    with locked(tmp_path):
        await discord.say(f"<@{BOB}> did you know?", channel=question)
        await talk.quiet()
    assert discord.texts(question) == ["Because."]


async def test_an_edit_that_is_lost_is_apologised_for(
    talk: Talk, discord: FakeDiscord, tmp_path: Path
) -> None:
    question, _ = await talk.answered("Wy?", "What?")
    with locked(tmp_path):
        await discord.change_text(question, f"<@{BOT}> Why?")
        await discord.says(SORRY, question)


async def test_a_stop_sign_that_is_lost_is_apologised_for(
    talk: Talk, discord: FakeDiscord, tmp_path: Path
) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    reply = await discord.says("Because", question)
    with locked(tmp_path):
        await discord.react(reply)
        await discord.says(SORRY, question)
    generation.finish()


async def test_a_question_that_finds_too_many_deliveries_waiting_is_apologised_for(
    talk: Talk, discord: FakeDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.discord.gateway.deliveries._MAX_WAITING", 0)
    await discord.ask("Why?")
    await discord.says("Too many questions are waiting; please try again in 60 s.", CHANNEL)
    await discord.say("Nobody asked Parley.")
    monkeypatch.undo()
    await talk.answered("Why?", "Because.")
    assert len(discord.texts(CHANNEL)) == 1


@pytest.mark.parametrize("ack_seconds", [1.5, 0.01], ids=["in time", "after thinking"])
async def test_whoever_uses_a_command_is_told_and_is_not_left_looking_at_thinking(
    talk: Talk,
    discord: FakeDiscord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ack_seconds: float,
) -> None:
    monkeypatch.setattr(handler, "ACK_SECONDS", ack_seconds)
    with locked(tmp_path):
        asked = await discord.slash("ask", question="Why?")
        await discord.until(lambda: discord.whispers(asked.user) == [SORRY])
        assert (asked.callback == 5) is (ack_seconds < 1)
    await discord.until(
        lambda: asked.original not in discord.messages or asked.original in discord.hidden
    )
