"""Parley joins a thread of Slack's late: the model sees what was said there before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.slack import Fault, rate_limited
from tests.fakes.slack_api import BOB
from tests.scenarios.stage import Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


async def thread(stage: Stage) -> str:
    root = await stage.slack.say("the lift is broken")
    await stage.slack.say("I am looking at it", user=BOB, thread_ts=root)
    return root


async def test_the_thread_is_read_once_and_goes_on_from_there(stage: Stage) -> None:
    root = await thread(stage)
    await stage.ask("summarise this thread", thread_ts=root)
    first = await stage.generation()
    question = first.question
    assert "Ada Lovelace: the lift is broken" in question
    assert "Bob: I am looking at it" in question
    assert question.endswith("summarise this thread")
    first.say("It is broken.")
    first.finish()
    await stage.until(lambda: stage.replies(root) == ["It is broken."])
    await stage.slack.say("and now?", thread_ts=root)
    second = await stage.generation()
    assert second.question.endswith("and now?")
    assert second.request.messages[-3].content == question
    assert stage.slack.num_calls("conversations.replies") == 1
    second.finish()


@pytest.mark.parametrize("fault", [rate_limited(3), Fault(error="missing_scope")])
async def test_a_thread_that_cannot_be_read_is_no_reason_to_be_silent(
    stage: Stage, fault: Fault
) -> None:
    root = await thread(stage)
    stage.slack.fail("conversations.replies", fault)
    await stage.ask("hello", thread_ts=root)
    generation = await stage.generation()
    assert generation.question == "hello"
    generation.say("Hi.")
    generation.finish()
    await stage.until(lambda: stage.replies(root) == ["Hi."])
