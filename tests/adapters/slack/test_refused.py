"""What Slack refuses to show, edit or thread: its person is told, or answered elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import PlatformRefused, TextRefused, refusal_for_people
from bot.stored import TurnState
from tests.fakes.slack import Fault
from tests.fakes.slack_api import BOT, CHANNEL
from tests.scenarios.stage import Stage, staged

BLOCKED, ODD = "slack_connect_file_link_sharing_blocked", "invalid_blocks"
SENTENCES = {
    BLOCKED: refusal_for_people(TextRefused("chat.update", BLOCKED)),
    ODD: refusal_for_people(PlatformRefused("chat.update", ODD)),
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


@pytest.mark.parametrize("error", SENTENCES)
async def test_an_edit_that_is_refused_ends_with_a_sentence_in_its_message(
    stage: Stage, error: str
) -> None:
    stage.slack.filter["files.slack"] = error
    ts = await stage.ask("Where?")
    generation = await stage.generation()
    generation.say("See ")
    await stage.until(lambda: stage.replies(ts) == ["See"])
    generation.say("https://files.slack.example/F01 for more.")
    generation.finish()
    turn = await stage.ended(ts)
    assert stage.replies(ts) == [SENTENCES[error]]
    assert (turn.state, turn.reply) == (TurnState.FAILED, SENTENCES[error])
    assert stage.slack.reactions == set()


@pytest.mark.parametrize("error", SENTENCES)
async def test_a_first_post_that_is_refused_is_a_sentence(stage: Stage, error: str) -> None:
    stage.slack.filter |= {"files.slack": error, "Thinking": error}
    stage.generator.replies.append("See https://files.slack.example/F01.")
    ts = await stage.ask("Where?")
    assert (await stage.ended(ts)).state is TurnState.FAILED
    assert stage.replies(ts) == [SENTENCES[error]]


@pytest.mark.parametrize("error", ["edit_window_closed", "cant_update_message", "block_mismatch"])
async def test_where_messages_cannot_be_edited_the_answer_is_another_message(
    stage: Stage, error: str
) -> None:
    ts = await stage.ask("Where?")
    generation = await stage.generation()
    generation.say("See ")
    await stage.until(lambda: stage.replies(ts) == ["See"])
    stage.slack.fail("chat.update", *[Fault(error=error)] * 10)
    generation.say("you there.")
    generation.finish()
    assert (await stage.ended(ts)).state is TurnState.DONE
    assert stage.replies(ts) == ["See you there."]


async def test_where_threads_are_not_allowed_the_answer_stands_in_the_channel(
    stage: Stage,
) -> None:
    stage.slack.unthreadable.add(CHANNEL)
    stage.generator.replies.append("Here.")
    ts = await stage.ask("Where?")
    assert (await stage.ended(ts)).state is TurnState.DONE
    here = [m for m in stage.slack.messages.values() if m["user"] == BOT]
    assert [(m["text"], m.get("thread_ts")) for m in here] == [("Here.", None)]


async def test_a_channel_that_forbids_threads_is_asked_for_none_for_an_hour(stage: Stage) -> None:
    stage.slack.unthreadable.add(CHANNEL)
    for number in range(3):
        stage.generator.replies.append("Here.")
        await stage.ended(await stage.ask(f"Where, for the {number}th time?"))
    assert stage.slack.num_calls("chat.postMessage") == 1 + 3
    stage.slack.unthreadable.clear()
    await stage.clock.advance(3_600)
    stage.generator.replies.append("There.")
    ts = await stage.ask("And now?")
    await stage.ended(ts)
    assert stage.replies(ts) == ["There."]


@pytest.mark.parametrize("error", ["restricted_action", "is_archived", "not_in_channel"])
async def test_where_nothing_can_be_posted_the_turn_is_not_done(stage: Stage, error: str) -> None:
    stage.slack.fail("chat.postMessage", *[Fault(error=error)] * 3)
    stage.generator.replies.append("Here.")
    ts = await stage.ask("Where?")
    turn = await stage.ended(ts)
    assert (turn.state, stage.replies(ts)) == (TurnState.FAILED, [])


async def test_in_a_channel_that_is_archived_meanwhile_the_turn_is_not_done(stage: Stage) -> None:
    ts = await stage.ask("Where?")
    generation = await stage.generation()
    generation.say("See ")
    await stage.until(lambda: stage.replies(ts) == ["See"])
    stage.slack.fail("chat.update", *[Fault(error="is_inactive")] * 10)
    generation.say("you.")
    generation.finish()
    assert (await stage.ended(ts)).state is TurnState.FAILED
