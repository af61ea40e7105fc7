"""Stop in Slack, wherever a reply stands and however it is said: it ends within a second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from bot.stored import TurnState
from bot.turns.commands import NOTHING_TO_STOP
from bot.turns.notices import NOT_YOURS
from tests.fakes.generator import ScriptedGeneration
from tests.fakes.slack_api import ADA, BOB, BOSS, BOT, CHANNEL, Json
from tests.scenarios.stage import Stage, staged

BEGINNING, WHOLE = "Once upon a time ", "Once upon a time and there was a parley."
ENDED = ["Retry", "Personality…", "👍", "👎"]


@dataclass
class Asked:
    """A question, and how far its reply has come; ``root`` is that of its thread."""

    stage: Stage
    ts: str
    root: str
    generation: ScriptedGeneration | None = None

    @property
    def reply(self) -> Json:
        """What answers it: the newest message of Parley's in the thread."""
        own = [each for each in self.stage.slack.thread(self.root) if each["user"] == BOT]
        return own[-1]

    @property
    def reply_ts(self) -> str:
        return str(self.reply["ts"])


# Where a reply stands


async def waits_in_its_thread(stage: Stage) -> Asked:
    first = await stage.ask("tell me a story", user=BOB)
    await stage.generation()
    ts = await stage.ask("and another", thread_ts=first)
    await stage.until(lambda: "Next in this thread" in "".join(stage.replies(first)))
    return Asked(stage, ts, first)


async def waits_in_the_queue(stage: Stage) -> Asked:
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.queue(2)
    await stage.until(lambda: "You are 2nd in line" in "".join(stage.replies(ts)))
    return Asked(stage, ts, ts, generation)


async def is_read(stage: Stage) -> Asked:
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    await stage.until(lambda: "Thinking…" in "".join(stage.replies(ts)))
    return Asked(stage, ts, ts, generation)


async def grows(stage: Stage) -> Asked:
    ts = await stage.ask("tell me a story")
    generation = await stage.generation()
    generation.say(BEGINNING + "and")
    await stage.until(lambda: BEGINNING.strip() in "".join(stage.replies(ts)))
    return Asked(stage, ts, ts, generation)


async def streams(stage: Stage) -> Asked:
    stage.slack.streams.has_streams = True
    return await grows(stage)


State = Callable[[Stage], Awaitable[Asked]]
GROWING: Sequence[State] = [grows, streams]
STATES: Sequence[State] = [
    waits_in_its_thread,
    waits_in_the_queue,
    is_read,
    *GROWING,
]


# How stop is said


Trigger = Callable[[Asked, str], Awaitable[object]]


async def reacts_to_the_question(asked: Asked, user: str) -> None:
    await asked.stage.slack.react(asked.ts, "octagonal_sign", user=user)


async def reacts_to_the_reply(asked: Asked, user: str) -> None:
    await asked.stage.slack.react(asked.reply_ts, "octagonal_sign", user=user)


async def presses_the_button(asked: Asked, user: str) -> None:
    await asked.stage.slack.press(asked.reply_ts, "Stop", user=user)


async def uses_slacks_own_stop(asked: Asked, user: str) -> None:
    """Slack ends the stream by itself, if there is one, and names it."""
    slack, key = asked.stage.slack, (CHANNEL, asked.reply_ts)
    streams = [asked.reply_ts] if slack.streams.is_streaming(key) else []
    if streams:
        slack.streams.press_stop(key)
    event = {"type": "agent_session_stopped", "channel": CHANNEL, "thread_ts": asked.root}
    await slack.deliver({**event, "user": user, "streaming_message_ts": streams})


async def says_stop(asked: Asked, user: str) -> None:
    await asked.stage.slack.say("stop", user=user, thread_ts=asked.root)


async def types_the_command(asked: Asked, user: str) -> None:
    await asked.stage.slack.command("stop", user=user)


async def deletes_the_question(asked: Asked, _: str) -> None:
    await asked.stage.slack.erase(asked.ts)


OTHERS: Sequence[Trigger] = [
    reacts_to_the_question,
    reacts_to_the_reply,
    presses_the_button,
    uses_slacks_own_stop,
    says_stop,
    types_the_command,
]
TRIGGERS: Sequence[Trigger] = [*OTHERS, deletes_the_question]


def combined(states: Sequence[State], triggers: Sequence[Trigger]) -> list[ParameterSet]:
    """What streams has Slack's own Stop, and no button."""
    return [
        pytest.param(state, trigger, id=f"{state.__name__}-{trigger.__name__}")
        for state in states
        for trigger in triggers
        if not (trigger is presses_the_button and state is streams)
    ]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        stage.slack.streams.has_sessions = True
        yield stage


async def has_stopped_within_a_second(asked: Asked, reply: str) -> None:
    stage, since = asked.stage, asked.stage.clock.monotonic()
    while not (turn := await stage.turn(asked.ts)).state.is_finished:
        assert stage.clock.monotonic() - since < 1.0, stage.slack.shown
        await stage.clock.advance(0.1)
    assert turn.state is TurnState.STOPPED
    said = f"{turn.reply.strip()}\n\n_(stopped)_" if turn.reply else "Stopped."
    assert stage.slack.text(reply) == said
    assert not stage.slack.streams.is_streaming((CHANNEL, reply))


async def is_left_as_stopped(asked: Asked, reply: str) -> None:
    """Some time later: nothing of it is under way, and what can come next is offered."""
    stage, slack = asked.stage, asked.stage.slack
    can_continue = ["Continue"] if (await stage.turn(asked.ts)).reply else []
    await stage.until(lambda: slack.buttons(reply) == [*can_continue, *ENDED])
    await stage.clock.advance(5)
    assert slack.buttons(reply) == [*can_continue, *ENDED]
    assert slack.reactions == set()
    assert slack.num_rate_limited == 0


@pytest.mark.parametrize(("state", "trigger"), combined(STATES, TRIGGERS))
async def test_stop_ends_the_reply_within_a_second(
    stage: Stage, state: State, trigger: Trigger
) -> None:
    asked = await state(stage)
    reply = asked.reply_ts
    num_messages = len(stage.slack.thread(asked.root))
    await trigger(asked, ADA)
    assert asked.generation is None or asked.generation.is_cancelled
    await has_stopped_within_a_second(asked, reply)
    await is_left_as_stopped(asked, reply)
    said = [each for each in stage.slack.thread(asked.root) if each["user"] == BOT]
    assert len(said) <= num_messages
    told = [each["text"] for each in stage.slack.whispers]
    assert len(told) == (trigger is types_the_command)
    if asked.generation is not None:
        assert stage.slack.streams.sessions[CHANNEL, asked.root][-1] == "active"


@pytest.mark.parametrize(("state", "trigger"), combined([streams], OTHERS[1:4]))
async def test_an_admin_stops_the_replies_of_others(
    stage: Stage, state: State, trigger: Trigger
) -> None:
    asked = await state(stage)
    reply = asked.reply_ts
    await trigger(asked, BOSS)
    await has_stopped_within_a_second(asked, reply)
    await is_left_as_stopped(asked, reply)


@pytest.mark.parametrize(("state", "trigger"), combined(GROWING, OTHERS))
async def test_anybody_else_is_told_why_not_and_the_reply_goes_on(
    stage: Stage, state: State, trigger: Trigger
) -> None:
    asked = await state(stage)
    reply = asked.reply_ts
    await trigger(asked, BOB)
    await stage.until(lambda: bool(stage.slack.whispers))
    (told,) = stage.slack.whispers
    assert told["user"] == BOB
    assert told["text"] in (NOT_YOURS, NOTHING_TO_STOP)
    assert asked.generation is not None
    asked.generation.say(" there was a parley.")
    await stage.until(lambda: "was a" in str(stage.slack.text(reply)))
    asked.generation.finish()
    turn = await stage.ended(asked.ts)
    assert (turn.state, turn.reply) == (TurnState.DONE, WHOLE)
    assert stage.slack.text(reply) == WHOLE


LATE: Sequence[Trigger] = [
    reacts_to_the_question,
    uses_slacks_own_stop,
    says_stop,
    types_the_command,
    deletes_the_question,
]


@pytest.mark.parametrize("trigger", LATE)
async def test_a_reply_that_has_ended_stays_as_it_is(stage: Stage, trigger: Trigger) -> None:
    asked = await grows(stage)
    reply = asked.reply_ts
    assert asked.generation is not None
    asked.generation.finish()
    await stage.ended(asked.ts)
    await stage.until(lambda: stage.slack.buttons(reply) == ENDED)
    await trigger(asked, ADA)
    await stage.clock.advance(5)
    assert (await stage.turn(asked.ts)).state is TurnState.DONE
    assert (stage.slack.text(reply), stage.slack.buttons(reply)) == (f"{BEGINNING}and", ENDED)
    told = [each["text"] for each in stage.slack.whispers]
    assert all(each.endswith(NOTHING_TO_STOP) for each in told)
    silent = {reacts_to_the_question, deletes_the_question}
    assert len(told) == (trigger not in silent)


@pytest.mark.parametrize("trigger", [reacts_to_the_reply, uses_slacks_own_stop, types_the_command])
async def test_of_a_whole_answer_no_further_message_comes(stage: Stage, trigger: Trigger) -> None:
    asked = await grows(stage)
    assert asked.generation is not None
    asked.generation.say(" word" * 1400)
    asked.generation.finish()
    await stage.until(lambda: len(stage.replies(asked.root)) == 2)
    first, second = stage.replies(asked.root)
    await trigger(asked, ADA)
    turn = await stage.ended(asked.ts)
    assert turn.state is TurnState.STOPPED
    assert stage.replies(asked.root)[0] == first
    (stopped,) = stage.replies(asked.root)[1:]
    assert second.startswith(stopped.removesuffix("\n\n_(stopped)_"))
    assert turn.reply.split() == f"{first} {stopped}".removesuffix("_(stopped)_").split()
    await is_left_as_stopped(asked, turn.posts[-1].message_id)


@pytest.mark.parametrize(("user", "stops"), [(ADA, True), (BOSS, True), (BOB, False)])
async def test_slacks_own_stop_of_a_stream_that_is_not_on_disk_means_the_threads_reply(
    stage: Stage, user: str, stops: bool
) -> None:
    asked = await streams(stage)
    event = {"type": "agent_session_stopped", "channel": CHANNEL, "thread_ts": asked.root}
    unknown = ["1700000000.000999"]
    await stage.slack.deliver({**event, "user": user, "streaming_message_ts": unknown})
    assert asked.generation is not None
    assert asked.generation.is_cancelled is stops
    told = [] if stops else [NOT_YOURS]
    await stage.until(lambda: [each["text"] for each in stage.slack.whispers] == told)
