"""In the middle of a reply, by edits and by native streams: what people and Slack do then."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.stored import TurnState
from tests.fakes.generator import ScriptedGeneration
from tests.fakes.slack import DROPS, DROPS_AFTER, FAILS, FAILS_AFTER, Fault, rate_limited
from tests.fakes.slack_api import BOT, CHANNEL
from tests.scenarios.stage import Stage, staged

ELSEWHERE = "C03"
BEGINNING, REPLY = "Once upon a time ", "Once upon a time there was a parley."
FAULTS = {"500": FAILS, "500 after": FAILS_AFTER, "dropped": DROPS, "dropped after": DROPS_AFTER}


@pytest.fixture(params=["edits", "streams"])
async def stage(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        slack = stage.slack
        slack.streams.has_streams = slack.streams.has_sessions = request.param == "streams"
        slack.channels.add(ELSEWHERE)
        slack.members.add(ELSEWHERE)
        yield stage
        assert slack.rates.refused == []
    assert slack.streams.num_streams_limited == 0


async def growing(stage: Stage, channel: str = CHANNEL) -> tuple[str, ScriptedGeneration]:
    """A reply that people have seen the beginning of."""
    ts = await stage.ask("tell me a story", channel=channel)
    generation = await stage.generation()
    generation.say(BEGINNING)
    await stage.until(lambda: "Once upon" in "".join(stage.replies(ts, channel)))
    return ts, generation


def go_on(generation: ScriptedGeneration) -> None:
    generation.say(REPLY.removeprefix(BEGINNING))
    generation.finish()


def sights(stage: Stage, ts: str) -> list[str]:
    """What people saw of the reply, without what stands in for it."""
    own = {message["ts"] for message in stage.slack.thread(ts)} - {ts}
    texts = [text.removeprefix("Answering…\n") for _, at, text in stage.slack.shown if at in own]
    return [text for text in texts if text != "Thinking…"]


def growth_call(stage: Stage) -> str:
    return "chat.appendStream" if stage.slack.streams.has_streams else "chat.update"


async def has_one_whole_reply(stage: Stage, ts: str, reply: str = REPLY) -> None:
    turn = await stage.ended(ts)
    assert (turn.state, turn.reply) == (TurnState.DONE, reply)
    assert stage.replies(ts) == [reply]
    assert not stage.slack.streams.streaming
    assert not [text for text in sights(stage, ts) if not reply.startswith(text.strip())]


# What Slack does


async def test_five_seconds_are_waited_where_slack_asks_for_five(stage: Stage) -> None:
    """And the fake takes it amiss if anybody calls before; another channel waits, too."""
    ts, generation = await growing(stage)
    there, other = await growing(stage, ELSEWHERE)
    call, since = growth_call(stage), len(stage.slack.calls)
    stage.slack.fail(call, rate_limited(5))
    generation.say("there was ")
    await stage.until(lambda: any(each.method == call for each in stage.slack.calls[since:]))
    refused_at = stage.slack.calls[-1].at
    generation.say("a par")
    go_on(other)
    await stage.until(lambda: "was a" in stage.replies(ts)[0])
    assert stage.clock.monotonic() == pytest.approx(refused_at + 5, abs=0.2)
    generation.say("ley.")
    generation.finish()
    await has_one_whole_reply(stage, ts)
    await stage.until(lambda: stage.replies(there, ELSEWHERE) == [REPLY])


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_calls_that_fail_in_the_middle_lose_and_double_no_word(
    stage: Stage, fault: Fault
) -> None:
    ts, generation = await growing(stage)
    stage.slack.fail("chat.appendStream", fault)
    for call in ("chat.stopStream", "chat.update"):
        stage.slack.fail(call, *[fault] * 3)
    generation.say("there was ")
    await stage.clock.advance(5)
    generation.say("a parley.")
    await stage.clock.advance(5)
    generation.finish()
    await has_one_whole_reply(stage, ts)


async def test_where_streams_are_refused_for_good_nobody_asks_again(stage: Stage) -> None:
    stage.slack.fail("chat.startStream", Fault(error="feature_not_enabled"))
    for _ in range(2):
        ts, generation = await growing(stage)
        go_on(generation)
        await has_one_whole_reply(stage, ts)
    assert stage.slack.num_calls("chat.startStream") == 1


async def test_a_refusal_in_the_middle_of_a_stream_goes_on_by_edits(stage: Stage) -> None:
    ts, generation = await growing(stage)
    stage.slack.fail("chat.appendStream", Fault(error="message_not_in_streaming_state"))
    generation.say("there was ")
    await stage.until(lambda: "there was" in stage.replies(ts)[0])
    assert stage.slack.num_calls("chat.update") > 0
    generation.say("a parley.")
    generation.finish()
    await has_one_whole_reply(stage, ts)


async def test_a_long_answer_goes_on_in_further_messages_and_is_never_cut(stage: Stage) -> None:
    words = [f"word{number}" for number in range(1200)]
    ts, generation = await growing(stage)
    for begin in range(0, len(words), 60):
        generation.say(" ".join(words[begin : begin + 60]) + " ")
        await stage.clock.advance(3)
    generation.finish()
    assert (await stage.ended(ts)).state is TurnState.DONE
    replies = stage.replies(ts)
    assert len(replies) >= 3
    assert " ".join(replies).split() == [*BEGINNING.split(), *words]
    assert not stage.slack.streams.streaming


# What people do


async def test_a_question_edited_meanwhile_is_answered_anew_in_the_same_reply(stage: Stage) -> None:
    ts, first = await growing(stage)
    (reply,) = stage.slack.thread(ts)[1:]
    await stage.slack.change(ts, f"<@{BOT}> tell me a joke", edited={"user": "U01", "ts": "1"})
    second = await stage.generation()
    assert first.is_cancelled
    assert second.question == "tell me a joke"
    second.say("A parley walks into a bar.")
    await stage.clock.advance(5)
    second.finish()
    turn = await stage.ended(ts)
    assert (turn.state, turn.text) == (TurnState.DONE, "tell me a joke")
    assert [(m["ts"], m["text"]) for m in stage.slack.thread(ts)[1:]] == [
        (reply["ts"], "A parley walks into a bar.")
    ]
    assert not stage.slack.streams.streaming


async def test_a_link_that_unfurls_changes_nothing(stage: Stage) -> None:
    ts, generation = await growing(stage)
    assert await stage.slack.unfurl(ts, "https://example.com/story") == 200
    await stage.clock.advance(5)
    assert not generation.is_cancelled
    go_on(generation)
    await has_one_whole_reply(stage, ts)
    assert await stage.slack.unfurl(ts, "https://example.com/story") == 200
    await stage.clock.advance(5)
    assert len(stage.generator.generations) == 1


async def test_a_question_that_is_deleted_stops_and_what_was_shown_stays(stage: Stage) -> None:
    ts, generation = await growing(stage)
    await stage.slack.erase(ts)
    turn = await stage.ended(ts)
    assert generation.is_cancelled
    assert turn.state is TurnState.STOPPED
    (reply,) = stage.replies(ts)
    assert re.fullmatch(r"Once upon a time\s+_\(stopped\)_", reply)
    assert not stage.slack.streams.streaming


def archive(stage: Stage) -> None:
    stage.slack.archived.add(CHANNEL)


def remove_parley(stage: Stage) -> None:
    stage.slack.members.remove(CHANNEL)


def remove_parley_from_a_private_one(stage: Stage) -> None:
    stage.slack.channels.remove(CHANNEL)


@pytest.mark.parametrize("shut", [archive, remove_parley, remove_parley_from_a_private_one])
async def test_where_nothing_can_be_said_any_more_the_turn_ends_and_others_go_on(
    stage: Stage, shut: Callable[[Stage], None], caplog: pytest.LogCaptureFixture
) -> None:
    ts, generation = await growing(stage)
    there, other = await growing(stage, ELSEWHERE)
    shut(stage)
    generation.say("there was ")
    await stage.until(lambda: generation.is_cancelled)
    turn = await stage.ended(ts)
    assert turn.state in (TurnState.FAILED, TurnState.STOPPED)
    go_on(other)
    await stage.until(lambda: stage.replies(there, ELSEWHERE) == [REPLY])
    await stage.clock.advance(60)
    told = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert len([each for each in told if turn.id in each.getMessage()]) == len(told) == 1
    num_calls = len(stage.slack.calls)
    await stage.clock.advance(900)
    assert len(stage.slack.calls) == num_calls


# What the model does


PINGS = (
    "<!channel>", "<!here|here>", "<!everyone>", "<@U02>", "<@U02|Bob>", "<!subteam^S01>", "@here",
    "@channel", "@everyone", "`<!channel> @here`", "```\n<!channel> <@U02> @everyone\n```",
    "[<!here>](https://example.com)", "[x](https://example.com/@here)", "**<@U02>**",
    "| a | b |\n|---|---|\n| <!here> | @channel |", "> <!channel>", "- <@U02>", "# @everyone",
    "&lt;!channel&gt;", "<https://example.com|<!here>>", r"\<!channel>",
)  # fmt: skip


async def test_no_ping_that_the_model_writes_is_one(stage: Stage) -> None:
    """The fake takes it amiss wherever one is posted, edited or streamed."""
    ts, generation = await growing(stage)
    for ping in PINGS:
        generation.say(ping[: len(ping) // 2])
        await stage.clock.advance(1)
        generation.say(f"{ping[len(ping) // 2 :]} for reasons\n\n")
        await stage.clock.advance(1)
    generation.finish()
    assert (await stage.ended(ts)).state is TurnState.DONE
    assert "".join(stage.replies(ts)).count("for reasons") == len(PINGS)
