"""A message in Slack that an edit makes a question, or a command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.stored import TurnState
from bot.turns.questions import EMPTY
from tests.fakes.slack_api import BOT, CHANNEL
from tests.scenarios.stage import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


async def fired_again(stage: Stage, ts: str) -> None:
    """Slack tells of a mention once more when its message is edited."""
    event = {**stage.slack.messages[CHANNEL, ts], "type": "app_mention", "event_ts": ts}
    assert await stage.slack.deliver(event) == 200


@pytest.mark.parametrize("before", [f"<@{BOT}>", "What colour is the sky?"])
@pytest.mark.parametrize("is_mention_first", [True, False])
async def test_an_edit_makes_a_question_that_is_answered_once(
    stage: Stage, before: str, is_mention_first: bool
) -> None:
    ts = await stage.slack.say(before)
    await stage.clock.advance(3)
    assert all(each["text"] == EMPTY for each in stage.slack.whispers)
    stage.generator.replies += ["It is blue.", "It is black."]
    if is_mention_first:
        stage.slack.messages[CHANNEL, ts]["text"] = f"<@{BOT}> What colour is the sky?"
        await fired_again(stage, ts)
        stage.slack.messages[CHANNEL, ts]["text"] = before
    await stage.slack.change(ts, f"<@{BOT}> What colour is the sky?")
    if not is_mention_first:
        await fired_again(stage, ts)
    await stage.ended(ts)
    await stage.clock.advance(3)
    assert stage.replies(ts) == ["It is blue."]


@pytest.mark.parametrize("is_mention_first", [True, False])
async def test_a_mistyped_stop_stops(stage: Stage, is_mention_first: bool) -> None:
    ts = await stage.ask("Count to a million.")
    generation = await stage.generation()
    generation.say("One, two")
    await stage.until(lambda: stage.replies(ts) == ["One, two"])
    typo = await stage.ask("sotp", thread_ts=ts)
    if is_mention_first:
        stage.slack.messages[CHANNEL, typo]["text"] = f"<@{BOT}> stop"
        await fired_again(stage, typo)
        stage.slack.messages[CHANNEL, typo]["text"] = f"<@{BOT}> sotp"
    await stage.slack.change(typo, f"<@{BOT}> stop")
    if not is_mention_first:
        await fired_again(stage, typo)
    assert (await stage.ended(ts)).state is TurnState.STOPPED
    await stage.clock.advance(5)
    assert len(stage.generator.generations) == 1
    assert stage.slack.whispers == []
