"""Stop: by every trigger, in every state, by those who may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.errors import QueueFull
from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import EDIT, FakeDiscord, rate_limited
from tests.fakes.discord_guild import ADA, BOB, BOSS

Trigger = Callable[[FakeDiscord, str, str], Awaitable[object]]

TRIGGERS: dict[str, Trigger] = {
    "a reaction on the question": lambda d, q, r: d.react(q),
    "a reaction on the reply": lambda d, q, r: d.react(r, "✋🏽"),
    "the button": lambda d, q, r: d.press(r, "Stop"),
    "the command": lambda d, q, r: d.slash("parley", sub="stop", channel=q),
    "the command in the channel": lambda d, q, r: d.slash("parley", sub="stop"),
    "the word": lambda d, q, r: d.say("stop", channel=q),
    "deleting the question": lambda d, q, r: d.erase(q),
    "who may manage messages": lambda d, q, r: d.react(r, user=BOSS),
    "the button, by who may manage messages": lambda d, q, r: d.press(r, "Stop", user=BOSS),
}


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


@pytest.fixture(params=TRIGGERS.values(), ids=list(TRIGGERS))
def trigger(request: pytest.FixtureRequest) -> Trigger:
    trigger: Trigger = request.param
    return trigger


async def test_while_it_streams_the_text_so_far_stays_marked_as_stopped(
    talk: Talk, discord: FakeDiscord, trigger: Trigger
) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    reply = await discord.says("Because", question)
    await trigger(discord, question, reply)
    await discord.says("Because\n\n_(stopped)_", question)
    assert generation.is_cancelled
    await talk.ended(reply)


@pytest.mark.parametrize("in_line", [True, False], ids=["in line", "while it reads"])
async def test_before_the_first_word_the_placeholder_says_stopped(
    talk: Talk, discord: FakeDiscord, trigger: Trigger, in_line: bool
) -> None:
    question, generation = await talk.asked("Why?")
    if in_line:
        generation.queue(3)
    reply = await discord.says("You are 3rd in line…" if in_line else "Thinking…", question)
    await talk.noted(reply, question)
    await trigger(discord, question, reply)
    assert await discord.says("Stopped.", question) == reply


async def test_while_the_engine_is_full_the_placeholder_says_stopped(
    talk: Talk, discord: FakeDiscord, trigger: Trigger
) -> None:
    talk.generator.failures += [QueueFull(1.0)] * 3
    question = await discord.ask("Why?")
    reply = await discord.says("You are next in line…", question)
    await trigger(discord, question, reply)
    assert await discord.says("Stopped.", question) == reply


@pytest.mark.parametrize("emoji", ["👍", "🎉"])
async def test_another_reaction_stops_nothing(talk: Talk, discord: FakeDiscord, emoji: str) -> None:
    question, generation = await talk.asked("Why?")
    await discord.react(question, emoji)
    await talk.quiet()
    assert not generation.is_cancelled
    generation.finish()


async def test_a_stranger_cannot_stop_and_is_told_so_alone_when_they_press(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why?")
    generation.say("Because")
    reply = await discord.says("Because", question)
    await discord.react(question, user=BOB)
    await discord.press(reply, "Stop", user=BOB)
    await discord.until(lambda: discord.whispers(BOB))
    assert discord.whispers(BOB) == ["Only the person who asked, or an admin, can do that."]
    assert not generation.is_cancelled
    generation.finish()


async def test_stop_during_a_rate_limit_sleep_leaves_parley_able_to_edit(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why?")
    reply = await discord.says("Thinking…", question)
    discord.fail(EDIT, rate_limited(1.0))
    generation.say("Because")
    await discord.until(lambda: discord.num_calls(EDIT) == 1)
    await discord.react(question)
    await discord.says("Because\n\n_(stopped)_", question)
    await talk.ended(reply)
    talk.generator.replies.append("Again.")
    await discord.press(reply, "Retry")
    await discord.says("Again.", question)


async def test_stop_in_a_global_rate_limit_blocks_no_other_call(
    talk: Talk, discord: FakeDiscord
) -> None:
    question, generation = await talk.asked("Why?")
    await discord.says("Thinking…", question)
    discord.fail(EDIT, rate_limited(1.0, is_global=True))
    generation.say("Because")
    await discord.until(lambda: discord.num_calls(EDIT) == 1)
    await discord.react(question, user=ADA)
    await discord.says("Because\n\n_(stopped)_", question)
    await talk.answered("And now?", "Fine.")


async def test_stop_by_its_asker_of_a_slash_question(talk: Talk, discord: FakeDiscord) -> None:
    asked = await discord.slash("ask", question="Why?")
    generation = await talk.generation()
    generation.say("Because")
    await discord.until(lambda: discord.answer_to(asked) == "Because")
    await discord.press(asked.original, "Stop")
    await discord.until(lambda: discord.answer_to(asked) == "Because\n\n_(stopped)_")
