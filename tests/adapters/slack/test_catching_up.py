"""What was said in a channel, told in private to whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.turns.commands import CATCHING_UP, NOT_READ, NOTHING_SAID
from tests.fakes.slack_api import ADA, BOB, BOT, CHANNEL, DIRECT, NOT_A_MEMBER
from tests.scenarios.stage import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


def told(stage: Stage, channel: str = DIRECT) -> list[str]:
    return [m["text"] for m in stage.slack.messages.values() if m["channel"] == channel]


def whispers(stage: Stage) -> list[str]:
    return [each["text"] for each in stage.slack.whispers]


async def test_the_newest_messages_of_the_channel_are_summed_up_in_private(stage: Stage) -> None:
    root = await stage.slack.say("the lift is broken", user=BOB)
    await stage.slack.say("not for the summary", user=BOB, thread_ts=root)
    await stage.slack.say(f"<@{BOB}> who mends it?")
    stage.generator.replies.append("The lift is broken.")
    await stage.slack.command("catch up")
    await stage.until(lambda: len(told(stage)) == 2)
    assert told(stage) == [f"What was said in <#{CHANNEL}>:", "The lift is broken."]
    assert whispers(stage) == [CATCHING_UP]
    question = stage.generator.generations[0].question
    assert "Bob: the lift is broken\nAda Lovelace: @Bob who mends it?" in question
    assert "not for the summary" not in question


async def test_the_same_words_after_a_mention_do_it(stage: Stage) -> None:
    await stage.slack.say("the lift is broken", user=BOB)
    stage.generator.replies += ["It is broken.", "Bob."]
    await stage.ask("catch up")
    await stage.until(lambda: len(told(stage)) == 2)
    assert "catch up" not in stage.generator.generations[0].question.lower()
    await stage.slack.say("Who said so?", channel=DIRECT)
    await stage.until(lambda: told(stage)[-1] == "Bob.")


async def test_everybody_gets_a_conversation_of_their_own(stage: Stage) -> None:
    await stage.slack.say("the lift is broken")
    stage.generator.replies.append("Broken.")
    await stage.slack.command("catch up", user=BOB)
    await stage.until(lambda: "Broken." in told(stage, f"D{BOB}"))
    assert told(stage) == []


async def test_only_so_much_is_read(stage: Stage) -> None:
    for number in range(120):
        await stage.slack.say(f"message {number}.", user=BOB)
    await stage.slack.command("catch up")
    generation = await stage.generation()
    assert "message 69." not in generation.question
    assert "message 70." in generation.question
    assert "message 119." in generation.question
    assert stage.slack.num_calls("conversations.history") == 1


async def test_where_nothing_was_said_for_a_week_it_says_so(stage: Stage) -> None:
    await stage.slack.say("hello", user=BOB)
    await stage.clock.advance(8 * 86_400)
    await stage.slack.command("catch up")
    await stage.until(lambda: whispers(stage) == [NOTHING_SAID])
    assert told(stage) == []


async def test_where_parley_is_no_member_it_says_so(stage: Stage) -> None:
    await stage.slack.command("catch up", channel=NOT_A_MEMBER)
    await stage.until(lambda: stage.slack.commands.told == [(ADA, NOT_A_MEMBER, NOT_READ)])
    assert BOT not in [m["user"] for m in stage.slack.messages.values()]
