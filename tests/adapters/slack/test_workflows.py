"""Workflows and other bots: only those that an admin names are answered, where they ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.slack.talk import SlackTalk, talking
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_api import BOT, CHANNEL, TEAM, WORKFLOW

NAMED = f"slack:{TEAM}/{WORKFLOW}"


@pytest.fixture
async def talk(tmp_path: Path, slack: FakeSlack) -> AsyncIterator[SlackTalk]:
    async with talking(tmp_path, slack, allow=["slack:*", NAMED]) as talk:
        yield talk


async def test_a_workflow_that_is_named_is_answered_in_the_thread_of_its_message(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    talk.generator.replies.append("Three things.")
    ts = await slack.run_workflow(f"<@{BOT}> what happened today?")
    await talk.ended(await talk.says("Three things.", ts))
    (generation,) = talk.generator.generations
    assert generation.question.endswith("what happened today?")
    assert len(slack.thread(ts)) == 2


@pytest.mark.parametrize("rule", ["*", "slack:*", f"slack:{TEAM}", f"slack:{TEAM}/{CHANNEL}"])
async def test_a_workflow_that_is_not_named_is_not_answered_wherever_it_posts(
    tmp_path: Path, slack: FakeSlack, rule: str
) -> None:
    async with talking(tmp_path, slack, allow=[rule]) as talk:
        ts = await slack.run_workflow(f"<@{BOT}> what happened today?")
        await talk.answered("Why?", "Because.")
        assert len(slack.thread(ts)) == 1
        assert slack.whispers == []


async def test_a_workflow_that_is_denied_is_not_answered(tmp_path: Path, slack: FakeSlack) -> None:
    async with talking(tmp_path, slack, allow=["*", NAMED], deny=[NAMED]) as talk:
        ts = await slack.run_workflow(f"<@{BOT}> what happened today?")
        await talk.answered("Why?", "Because.")
        assert len(slack.thread(ts)) == 1


async def test_what_a_workflow_posts_without_a_mention_is_left_alone(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    question, _ = await talk.answered("Why?", "Because.")
    elsewhere = await slack.run_workflow("The build is green.")
    await slack.run_workflow("The build is green.", thread_ts=question)
    await talk.answered("Again?", "Yes.")
    assert len(slack.thread(elsewhere)) == 1
    assert len(slack.thread(question)) == 3
    assert all("build" not in each.question for each in talk.generator.generations)


async def test_two_bots_do_not_answer_each_other_for_ever(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    """This one thanks for whatever it is told."""
    talk.generator.replies += ["Three things.", "And again."]
    ts = await slack.run_workflow(f"<@{BOT}> what happened today?")
    await talk.says("Three things.", ts)
    for _ in range(3):
        await slack.run_workflow(f"<@{BOT}> thank you!", thread_ts=ts)
    await slack.run_workflow(f"<@{BOT}> help", thread_ts=ts)
    await asyncio.sleep(0)
    await slack.say("And tomorrow?", thread_ts=ts)
    await talk.says("And again.", ts)
    assert [each.get("user") == BOT for each in slack.thread(ts)].count(True) == 2


async def test_parley_does_not_answer_itself_though_somebody_names_it(
    tmp_path: Path, slack: FakeSlack
) -> None:
    own = [f"slack:{TEAM}/{BOT}", f"slack:{TEAM}/BBOT"]
    async with talking(tmp_path, slack, allow=["*", *own]) as talk:
        ts = await slack.run_workflow(f"<@{BOT}> who am I?", bot_id="BBOT")
        await talk.answered("Why?", "Because.")
        assert len(slack.thread(ts)) == 1


async def test_deleting_what_a_workflow_asked_stops_the_reply(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    ts = await slack.run_workflow(f"<@{BOT}> tell a story")
    generation = await talk.generator.started()
    await slack.erase(ts)
    await talk.until(lambda: generation.is_cancelled)


async def test_a_reply_to_a_workflow_does_not_stream_and_others_still_do(
    talk: SlackTalk, slack: FakeSlack
) -> None:
    slack.streams.has_streams = True
    ts = await slack.run_workflow(f"<@{BOT}> what happened today?")
    generation = await talk.generator.started()
    generation.say("Three things.")
    await talk.says("Three things.", ts)
    assert slack.num_calls("chat.startStream") == 0
    question, other = await talk.asked("Why?")
    other.say("Because it is so.")
    await talk.until(lambda: slack.num_calls("chat.startStream") == 1)
    generation.finish()
    other.finish()
    await talk.says("Because it is so.", question)


async def test_nobody_looks_a_bot_up_among_the_people(talk: SlackTalk, slack: FakeSlack) -> None:
    talk.generator.replies.append("Three things.")
    ts = await slack.run_workflow(f"<@{BOT}> what happened today?")
    await talk.says("Three things.", ts)
    assert slack.num_calls("users.info") == 0
