"""What Teams allows in a conversation: how a reply grows alone in it, and how many share it.

The connector counts by itself, and fails every test in which it was called too often.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.teams.adapter import LIMITS
from tests.adapters.teams.talk import Talk, talking
from tests.bot.talk import StageClock
from tests.fakes.clock import FakeClock
from tests.fakes.generator import ScriptedGeneration
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import CHANNEL, message
from tests.fakes.teams_api import RATES

STEP = 0.1


@pytest.fixture
def clock() -> StageClock:
    return StageClock()


@pytest.fixture
async def talk(teams: FakeTeams, tmp_path: Path, clock: StageClock) -> AsyncIterator[Talk]:
    async with talking(teams, tmp_path, clock, LIMITS) as talk:
        yield talk
        passing = asyncio.create_task(let_pass(clock, 60))
    passing.cancel()


async def let_pass(clock: FakeClock, seconds: float) -> None:
    for _ in range(round(seconds / STEP)):
        await clock.advance(STEP)


async def writing(clock: FakeClock, seconds: float, *replies: ScriptedGeneration) -> None:
    for _ in range(round(seconds / 0.5)):
        for each in replies:
            each.say("word ")
        await let_pass(clock, 0.5)


async def begun(talk: Talk, clock: FakeClock, num_replies: int) -> list[ScriptedGeneration]:
    """That many questions in threads of one channel, each being answered."""
    for number in range(num_replies):
        await talk.say(message(f"Question {number}", "channel", root=f"17000000{number:05}"))
    started = [asyncio.create_task(talk.generator.started()) for _ in range(num_replies)]
    while not all(each.done() for each in started):
        await let_pass(clock, STEP)
    return [each.result() for each in started]


@pytest.mark.parametrize("method", ["post", "edit", "delete", "typing"])
def test_every_call_counts_against_what_the_conversation_and_the_tenant_may(method: str) -> None:
    rules = [rule for rule in LIMITS.rules if method in rule.methods]
    channel = {(rule.max_calls, rule.seconds) for rule in rules if rule.scope == "channel"}
    tenant = {(rule.max_calls, rule.seconds) for rule in rules if rule.scope == "workspace"}
    assert channel == set(RATES), "as the connector counts"
    assert tenant == {(50, 1.0)}


async def test_alone_in_its_channel_a_reply_grows_every_two_to_three_seconds(
    talk: Talk, teams: FakeTeams, clock: FakeClock
) -> None:
    (generation,) = await begun(talk, clock, 1)
    await writing(clock, 20, generation)
    times = [at for at, _, text in teams.shown if "word" in text]
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) >= 6
    assert min(gaps) > 1.99
    assert sorted(gaps)[len(gaps) // 2] <= 3
    generation.finish()
    await let_pass(clock, 3)
    assert teams.texts(CHANNEL)[0].split() == ["word"] * 40


async def test_many_in_one_channel_share_what_it_may_and_a_last_edit_goes_first(
    talk: Talk, teams: FakeTeams, clock: FakeClock
) -> None:
    replies = await begun(talk, clock, 10)
    await writing(clock, 30, *replies)
    first = replies[0]
    first.say("THE END")
    first.finish()
    asked_at = clock.monotonic()
    await writing(clock, 3, *replies[1:])
    (at,) = [at for at, _, text in teams.shown if text.endswith("THE END")]
    shown_since = [text for when, _, text in teams.shown if asked_at < when < at]
    assert at - asked_at <= 2.5
    assert len(shown_since) <= 1, "nothing grows ahead of it but what was on its way"
    for each in replies[1:]:
        each.finish()
    await let_pass(clock, 30)
    assert [len(text.split()) for text in teams.texts(CHANNEL)].count(66) == 9
    assert teams.most_calls(30.0) <= 60
    assert teams.num_rate_limited == 0
