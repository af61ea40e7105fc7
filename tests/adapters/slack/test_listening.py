"""A channel in which an admin had Parley listen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.slack_api import BOB, BOSS, BOT
from tests.scenarios.stage import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


async def test_people_ask_without_a_mention_and_are_answered_under_their_message(
    stage: Stage,
) -> None:
    await stage.ask("listen on", user=BOSS)
    stage.generator.replies.append("It is blue.")
    ts = await stage.slack.say("What colour is the sky?", user=BOB)
    await stage.ended(ts)
    assert stage.replies(ts) == ["It is blue."]


async def test_elsewhere_nobody_is_even_looked_up_for_what_is_not_for_parley(stage: Stage) -> None:
    await stage.slack.say("lunch?", user=BOB)
    await stage.clock.advance(3)
    assert stage.slack.num_calls("users.info") == 0
    assert stage.slack.num_calls("chat.postMessage") == 0


async def test_a_message_to_somebody_else_is_left_alone(stage: Stage) -> None:
    await stage.ask("listen on", user=BOSS)
    ts = await stage.slack.say(f"<@{BOB}> lunch?")
    other = await stage.slack.say("<!here> lunch?")
    await stage.clock.advance(3)
    assert stage.replies(ts) == stage.replies(other) == []
    assert not stage.generator.generations


async def test_the_answer_says_how_it_ends(stage: Stage) -> None:
    ts = await stage.ask("listen on", user=BOSS)
    await stage.until(lambda: bool(stage.replies(ts)))
    assert "`listen off`" in stage.replies(ts)[0]
    again = await stage.slack.say(f"<@{BOT}> listen off", user=BOSS)
    await stage.until(lambda: "`listen on`" in "".join(stage.replies(again)))
