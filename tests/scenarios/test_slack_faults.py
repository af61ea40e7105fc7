"""Slack fails, asks to wait, loses the line or repeats itself; each person gets one reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bot.stored import TurnState
from tests.fakes.slack import (
    DROPS,
    DROPS_AFTER,
    FAILS,
    FAILS_AFTER,
    HANGS,
    Call,
    Fault,
    rate_limited,
)
from tests.fakes.slack_api import ADA, BOT, CHANNEL, Json
from tests.scenarios.stage import Stage, staged

RETRY_AFTER = 7.0
HANGS_AFTER = Fault(hangs=True, happens=True)
FAULTS = {
    "429": rate_limited(RETRY_AFTER),
    "500": FAILS,
    "500 after it happened": FAILS_AFTER,
    "503 as Slack words it": Fault(503, "service_unavailable"),
    "dropped": DROPS,
    "dropped after it happened": DROPS_AFTER,
    "no answer": HANGS,
    "no answer after it happened": HANGS_AFTER,
}
ONCE = [pytest.param(fault, 1, id=name) for name, fault in FAULTS.items()]
THREE_TIMES = [
    pytest.param(fault, 3, id=f"{name}, three times")
    for name, fault in FAULTS.items()
    if not fault.hangs  # each takes real time
]
BEGINNING, REPLY = "Once upon a time", "Once upon a time there was a parley."


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


def updates(stage: Stage) -> list[Call]:
    return [call for call in stage.slack.calls if call.method == "chat.update"]


async def has_one_whole_reply(stage: Stage, ts: str, reply: str = REPLY) -> None:
    """In Slack and on disk, now and a good while later."""
    turn = await stage.ended(ts)
    assert (turn.state, turn.reply) == (TurnState.DONE, reply)
    assert stage.replies(ts) == [reply]
    await stage.clock.advance(120)
    assert stage.replies(ts) == [reply]
    assert stage.slack.reactions == set()
    assert stage.slack.num_rate_limited == 0


@pytest.mark.parametrize(("fault", "times"), ONCE + THREE_TIMES)
async def test_a_first_post_that_fails_is_made_again_and_stands_once(
    stage: Stage, fault: Fault, times: int
) -> None:
    stage.slack.fail("chat.postMessage", *[fault] * times)
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(BEGINNING)
    await stage.clock.advance(60)
    generation.say(REPLY.removeprefix(BEGINNING))
    generation.finish()
    await has_one_whole_reply(stage, ts)


@pytest.mark.parametrize(("fault", "times"), ONCE + THREE_TIMES)
async def test_a_reply_goes_on_growing_after_an_edit_that_failed(
    stage: Stage, fault: Fault, times: int
) -> None:
    stage.slack.fail("chat.update", *[fault] * times)
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(BEGINNING)
    await stage.until(lambda: len(updates(stage)) > times)
    assert stage.replies(ts) == [BEGINNING]
    generation.say(REPLY.removeprefix(BEGINNING))
    generation.finish()
    await has_one_whole_reply(stage, ts)


@pytest.mark.parametrize(("fault", "times"), ONCE + THREE_TIMES)
async def test_a_last_edit_that_fails_is_made_again_until_it_stands(
    stage: Stage, fault: Fault, times: int
) -> None:
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(BEGINNING)
    await stage.until(lambda: stage.replies(ts) == [BEGINNING])
    num_before = len(updates(stage))
    stage.slack.fail("chat.update", *[fault] * times)
    generation.say(REPLY.removeprefix(BEGINNING))
    generation.finish()
    await has_one_whole_reply(stage, ts)
    assert [call.arguments["text"] for call in updates(stage)[num_before:]] == [REPLY] * (times + 1)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_search_that_fails_does_not_bring_a_second_reply(
    stage: Stage, fault: Fault
) -> None:
    stage.slack.fail("chat.postMessage", DROPS_AFTER)
    stage.slack.fail("conversations.replies", fault)
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(REPLY)
    generation.finish()
    await has_one_whole_reply(stage, ts)
    assert stage.slack.num_calls("chat.postMessage") == 1


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
async def test_what_slack_asks_to_wait_is_waited_by_everybody(stage: Stage, method: str) -> None:
    stage.slack.fail(method, rate_limited(RETRY_AFTER))
    questions = [await stage.ask("tell me a story") for _ in range(3)]
    for _ in questions:
        (await stage.generation()).say(BEGINNING)
    await stage.until(lambda: stage.slack.num_calls(method) > 0)
    for generation in stage.generator.generations:
        generation.say(REPLY.removeprefix(BEGINNING))
        generation.finish()
    for ts in questions:
        await has_one_whole_reply(stage, ts)
    refused, *others = [call.at for call in stage.slack.calls if call.method == method]
    assert min(others) >= refused + RETRY_AFTER


def mention(ts: str) -> Json:
    text = f"<@{BOT}> tell me a story"
    message = {"type": "app_mention", "user": ADA, "text": text, "channel": CHANNEL, "ts": ts}
    return {**message, "event_ts": ts}


def kept_question(stage: Stage) -> str:
    text = f"<@{BOT}> tell me a story"
    return stage.slack.keep({"type": "message", "user": ADA, "text": text, "channel": CHANNEL})


async def test_an_event_delivered_four_times_is_answered_once(stage: Stage) -> None:
    stage.generator.replies.extend([REPLY] * 4)
    ts = kept_question(stage)
    for retry in range(4):
        assert await stage.deliver_again(mention(ts), "Ev1", retry=retry) == 200
        await stage.clock.advance(30)
    await has_one_whole_reply(stage, ts)
    assert len(stage.generator.generations) == 1


async def test_an_event_delivered_four_times_at_once_is_answered_once(stage: Stage) -> None:
    stage.generator.replies.extend([REPLY] * 4)
    ts = kept_question(stage)
    deliveries = [stage.deliver_again(mention(ts), "Ev1", retry=retry) for retry in range(4)]
    assert await asyncio.gather(*deliveries) == [200] * 4
    await has_one_whole_reply(stage, ts)
    assert len(stage.generator.generations) == 1


async def test_one_mention_that_arrives_as_two_events_twice_at_once_is_answered_once(
    stage: Stage,
) -> None:
    stage.generator.replies.extend([REPLY] * 4)
    ts = kept_question(stage)
    as_message = {**mention(ts), "type": "message", "channel_type": "channel"}
    kinds: Sequence[tuple[Json, str]] = [(mention(ts), "Ev1"), (as_message, "Ev2")]
    deliveries = [
        stage.deliver_again(event, event_id, retry=retry)
        for event, event_id in kinds
        for retry in (0, 1)
    ]
    assert await asyncio.gather(*deliveries) == [200] * 4
    await has_one_whole_reply(stage, ts)
    assert len(stage.generator.generations) == 1


async def test_a_command_delivered_four_times_is_obeyed_once(stage: Stage) -> None:
    ts = kept_question(stage)
    event = {**mention(ts), "text": f"<@{BOT}> help"}
    deliveries = [stage.deliver_again(event, "Ev1", retry=retry) for retry in range(4)]
    assert await asyncio.gather(*deliveries) == [200] * 4
    await stage.clock.advance(30)
    (answer,) = stage.replies(ts)
    assert "personality NAME" in answer
