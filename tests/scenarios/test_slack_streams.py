"""Slack's native streams, from the question to the last word: faults, rates, and ``kill -9``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.stored import TurnState
from tests.fakes.slack import DROPS, DROPS_AFTER, FAILS, FAILS_AFTER, Fault, rate_limited
from tests.fakes.slack_api import ADA, CHANNEL
from tests.scenarios.plug import LONG, SHORT, Scene, scene
from tests.scenarios.polling import eventually
from tests.scenarios.stage import Stage, staged

BEGINNING, REPLY = "Once upon a time", "Once upon a time there was a parley."
METHODS = ("chat.startStream", "chat.appendStream", "chat.stopStream")
FAULTS = {
    "429": rate_limited(7),
    "500": FAILS,
    "500 after": FAILS_AFTER,
    "dropped": DROPS,
    "dropped after": DROPS_AFTER,
    "closed": Fault(error="message_not_in_streaming_state"),
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        stage.slack.streams.has_streams = stage.slack.streams.has_sessions = True
        yield stage
    assert stage.slack.streams.num_streams_limited == 0


async def has_one_whole_reply(stage: Stage, ts: str, reply: str = REPLY) -> None:
    turn = await stage.ended(ts)
    assert (turn.state, turn.reply) == (TurnState.DONE, reply)
    assert stage.replies(ts) == [reply]
    assert not stage.slack.streams.streaming
    assert stage.slack.streams.sessions.get((CHANNEL, ts), ["active"])[-1] == "active"


async def test_a_reply_streams_and_no_edit_is_made_before_its_end(stage: Stage) -> None:
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(BEGINNING)
    await stage.until(lambda: "Once upon a " in "".join(stage.replies(ts)))
    assert stage.slack.streams.sessions[CHANNEL, ts] == ["processing"]
    assert stage.slack.num_calls("chat.update") == 0
    generation.say(REPLY.removeprefix(BEGINNING))
    generation.finish()
    await has_one_whole_reply(stage, ts)
    assert stage.slack.num_calls("chat.postMessage") == 0


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("method", METHODS)
async def test_a_call_that_fails_leaves_one_whole_reply(
    stage: Stage, method: str, fault: Fault
) -> None:
    stage.slack.fail(method, fault)
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(BEGINNING)
    await stage.clock.advance(20)
    generation.say(REPLY.removeprefix(BEGINNING))
    await stage.clock.advance(20)
    generation.finish()
    await has_one_whole_reply(stage, ts)


@pytest.mark.parametrize("fault", [FAILS, FAILS_AFTER, DROPS, DROPS_AFTER])
async def test_a_stream_that_nobody_heard_of_is_found_though_its_end_fails_at_first(
    stage: Stage, fault: Fault
) -> None:
    stage.slack.fail("chat.startStream", DROPS_AFTER)
    stage.slack.fail("chat.stopStream", fault)
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(REPLY)
    await stage.clock.advance(20)
    generation.finish()
    await has_one_whole_reply(stage, ts)


async def test_a_stream_that_grows_for_six_minutes_goes_on_by_edits(stage: Stage) -> None:
    ts = await stage.ask("tell me a long story")
    generation = await stage.generation()
    words = ["word0", *(f" word{number}" for number in range(1, 36))]
    for word in words:
        generation.say(word)
        await stage.clock.advance(10)
    assert stage.slack.num_calls("chat.appendStream") > 20
    assert stage.slack.num_calls("chat.update") > 0
    generation.finish()
    await has_one_whole_reply(stage, ts, "".join(words))


@pytest.mark.parametrize("streams", [True, False])
async def test_slacks_own_stop_stops_the_reply(stage: Stage, streams: bool) -> None:
    stage.slack.streams.has_streams = streams
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(BEGINNING + " and")
    await stage.until(lambda: BEGINNING in "".join(stage.replies(ts)))
    (reply,) = [m["ts"] for m in stage.slack.thread(ts)[1:]]
    event = {"type": "agent_session_stopped", "channel": CHANNEL, "thread_ts": ts, "user": ADA}
    if streams:
        stage.slack.streams.press_stop((CHANNEL, reply))
    stopped = [reply] if streams else []
    assert await stage.slack.deliver({**event, "streaming_message_ts": stopped}) == 200
    turn = await stage.ended(ts)
    assert turn.state is TurnState.STOPPED
    await stage.until(lambda: stage.slack.streams.sessions[CHANNEL, ts][-1] == "active")
    assert not stage.slack.streams.streaming


async def test_a_crowd_streams_within_slacks_rates(stage: Stage) -> None:
    asked = [await stage.ask("tell me a story") for _ in range(25)]
    for _ in asked:
        (await stage.generation()).say(BEGINNING)
    await stage.clock.advance(30)
    for generation in stage.generator.generations:
        generation.say(REPLY.removeprefix(BEGINNING))
        generation.finish()
    for ts in asked:
        await has_one_whole_reply(stage, ts)
    assert stage.slack.num_rate_limited == 0


@pytest.mark.model
async def test_a_stream_killed_in_the_middle_is_finished_once(tmp_path: Path) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG) as it:
        it.slack.streams.has_streams = True
        ts = await it.ask("tell me a story")
        await it.grows(ts)
        await it.parley.kill()
        (growing,) = it.replies(ts)
        assert it.slack.streams.is_streaming((CHANNEL, growing["ts"]))
        await it.parley.start(PARLEY_MAX_TOKENS=SHORT)
        assert (await it.ends_well(ts)).posts == (growing["ts"],)
        assert not it.slack.streams.streaming
        assert it.slack.num_calls("chat.postMessage") == 0


async def streaming(it: Scene) -> tuple[str, str]:
    """A question, and the message in which its reply streams."""
    question = await it.ask("tell me a story")
    await it.grows(question)
    (reply,) = await eventually(lambda: it.turn(question).posts, what=it)
    return question, reply


async def presses_slacks_stop(it: Scene, question: str, reply: str) -> None:
    """Slack ends the stream by itself, if it still is one, and names it."""
    is_stream = it.slack.streams.is_streaming((CHANNEL, reply))
    if is_stream:
        it.slack.streams.press_stop((CHANNEL, reply))
    event = {"type": "agent_session_stopped", "channel": CHANNEL, "thread_ts": question}
    streams = [reply] if is_stream else []
    await it.slack.deliver({**event, "user": ADA, "streaming_message_ts": streams})


async def has_stopped(it: Scene, question: str, reply: str) -> None:
    """Nothing streams, and Slack shows no Stop and no loader any more."""
    assert (await it.ends(question)).state == "stopped"
    await eventually(lambda: it.slack.streams.sessions[CHANNEL, question][-1] == "active", what=it)
    await eventually(lambda: "Retry" in it.slack.buttons(reply), what=it)
    assert [each["ts"] for each in it.replies(question)] == [reply]
    assert "topped" in str(it.slack.text(reply))


@pytest.mark.model
async def test_slacks_own_stop_after_a_restart_stops_what_was_streaming_and_what_goes_on(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG) as it:
        it.slack.streams.has_streams = it.slack.streams.has_sessions = True
        first, one = await streaming(it)
        second, other = await streaming(it)
        await it.parley.kill()
        num_shown = len(it.slack.shown)
        await it.parley.start()
        await it.grows(first, after=num_shown)
        assert it.slack.streams.is_streaming((CHANNEL, other))
        await presses_slacks_stop(it, second, other)
        await has_stopped(it, second, other)
        await presses_slacks_stop(it, first, one)
        await has_stopped(it, first, one)
        assert not it.slack.streams.streaming
