"""Slack's own Stop: shown while a reply is under way, and understood when it is pressed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.events import read_event
from adapters.slack.reading.text import SlackIdentity
from bot.errors import MessageGone, Unavailable
from bot.types import Command, Label, Person, Place, Rendered, StopRequest
from tests.adapters.slack.conftest import bound_socket, make_adapter, serving
from tests.fakes.clock import FakeClock
from tests.fakes.slack import DROPS, FAILS, FakeSlack, Fault, envelope, rate_limited
from tests.fakes.slack_api import ADA, BOT, CHANNEL, DIRECT, TEAM, Json

ME = SlackIdentity(TEAM, BOT)
METHOD = "agents.sessions.setStatus"
TEXT = Rendered("hello")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def slack(clock: FakeClock) -> AsyncIterator[FakeSlack]:
    async with FakeSlack(clock) as fake:
        fake.streams.has_sessions = True
        yield fake
    assert fake.violations == []
    assert fake.streams.num_streams_limited == 0


@pytest.fixture
async def adapter(slack: FakeSlack, clock: FakeClock) -> AsyncIterator[SlackAdapter]:
    listener, slack.events_url = bound_socket()
    adapter = make_adapter(slack.api_url, clock=clock)
    async with serving(adapter, listener), adapter:
        yield adapter


def thread_in(slack: FakeSlack) -> Place:
    root = slack.keep({"type": "message", "user": ADA, "text": "root", "channel": CHANNEL})
    return Place("slack", TEAM, CHANNEL, root)


def label(number: int = 0) -> Label:
    place = Place("slack", TEAM, CHANNEL, "")
    return Label(f"turn-{number}", 0, asker=Person.at(place, ADA))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - Parley tells Slack, and Slack nobody
            await asyncio.sleep(0.01)


async def answer(adapter: SlackAdapter, place: Place, number: int = 0) -> None:
    ts = await adapter.begin(place, TEXT, label(number), is_text=True)
    await adapter.finish(place, ts, TEXT, label(number))
    await adapter._replies._sessions.close()


async def test_a_reply_is_under_way_until_it_has_ended(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    place = thread_in(slack)
    await answer(adapter, place)
    assert slack.streams.sessions == {(CHANNEL, place.thread): ["processing", "active"]}


async def test_a_reply_of_an_earlier_process_is_ended_too(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    place = thread_in(slack)
    ts = await adapter.post(place, TEXT, label())
    await adapter.finish(place, ts, TEXT, label())
    await adapter._replies._sessions.close()
    assert slack.streams.sessions == {(CHANNEL, place.thread): ["active"]}


@pytest.mark.parametrize("is_known", [True, False], ids=["asked again", "after a restart"])
async def test_a_reply_that_grows_again_is_under_way_again(
    adapter: SlackAdapter, slack: FakeSlack, is_known: bool
) -> None:
    place = thread_in(slack)
    if is_known:
        ts = await adapter.finish(place, None, TEXT, label())
    else:
        ts = await adapter.post(place, TEXT, label())
    for text in ("hello there", "hello there again"):
        await adapter.grow(place, ts, Rendered(text), is_text=True)
    await adapter.finish(place, ts, TEXT, label())
    await adapter._replies._sessions.close()
    statuses = slack.streams.sessions[CHANNEL, place.thread]
    assert statuses == [*["active"] * is_known, "processing", "active"]


async def test_slacks_own_stop_stays_where_edits_go_on_after_a_stream(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    slack.streams.has_streams = True
    place = thread_in(slack)
    ts = await adapter.begin(place, adapter.render("One two"), label(), is_text=True)
    slack.fail("chat.appendStream", DROPS)
    with pytest.raises(Unavailable):
        await adapter.grow(place, ts, adapter.render("One two three four"), is_text=True)
    await adapter.grow(place, ts, adapter.render("One two three four"), is_text=True)
    await adapter._replies._sessions.close()
    assert slack.streams.sessions[CHANNEL, place.thread] == ["processing", "processing"]
    assert slack.num_calls(METHOD) == 1, "the end of the stream says the rest"
    await adapter.finish(place, ts, TEXT, label())
    await adapter._replies._sessions.close()
    assert slack.streams.sessions[CHANNEL, place.thread][-1] == "active"


async def test_the_end_of_a_stream_ends_the_session_with_it(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    slack.streams.has_streams = True
    place = thread_in(slack)
    ts = await adapter.begin(place, TEXT, label(), is_text=True)
    await adapter._replies._sessions.close()
    await adapter.finish(place, ts, TEXT, label())
    await adapter._replies._sessions.close()
    assert slack.streams.sessions == {(CHANNEL, place.thread): ["processing", "active"]}
    assert slack.num_calls(METHOD) == 1


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "edits"])
@pytest.mark.parametrize("first", [0, 1], ids=["the first", "one that waits"])
async def test_slacks_own_stop_stays_while_another_reply_of_the_thread_grows(
    adapter: SlackAdapter, slack: FakeSlack, first: int, streams: bool
) -> None:
    slack.streams.has_streams = streams
    place = thread_in(slack)
    replies = [
        (await adapter.begin(place, TEXT, label(number), is_text=not number), label(number))
        for number in (0, 1)
    ]
    for number, status in ((first, "processing"), (1 - first, "active")):
        ts, its = replies[number]
        await adapter.finish(place, ts, TEXT, its)
        await adapter._replies._sessions.close()
        assert slack.streams.sessions[CHANNEL, place.thread][-1] == status


async def test_a_message_that_somebody_deletes_holds_no_session_open(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    place = thread_in(slack)
    gone = await adapter.begin(place, TEXT, label(), is_text=True)
    tidied = await adapter.begin(place, TEXT, label(1), is_text=True)
    del slack.messages[CHANNEL, gone]
    with pytest.raises(MessageGone):
        await adapter.grow(place, gone, Rendered("hello there"), is_text=True)
    await adapter.delete(place, tidied)
    await adapter._replies._sessions.close()
    assert slack.streams.sessions[CHANNEL, place.thread] == ["processing", "active"]


async def test_outside_of_threads_there_are_no_sessions(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    await answer(adapter, Place("slack", TEAM, DIRECT, ""))
    assert slack.num_calls(METHOD) == 0


@pytest.mark.parametrize(
    "error", ["unknown_method", "not_allowed_token_type", "missing_scope", "not_an_agent"]
)
async def test_where_slack_has_no_sessions_it_is_not_asked_for_ever(
    adapter: SlackAdapter, slack: FakeSlack, error: str
) -> None:
    slack.fail(METHOD, *[Fault(error=error)] * 9)
    for number in range(5):
        await answer(adapter, thread_in(slack), number)
    assert slack.num_calls(METHOD) == 5
    assert slack.num_calls("chat.postMessage") == 5


@pytest.mark.parametrize("error", ["not_in_channel", "is_archived", "thread_not_found"])
async def test_one_place_without_sessions_takes_them_from_no_other(
    adapter: SlackAdapter, slack: FakeSlack, error: str
) -> None:
    slack.fail(METHOD, *[Fault(error=error)] * 2)
    await answer(adapter, thread_in(slack))
    place = thread_in(slack)
    await answer(adapter, place, 1)
    assert slack.streams.sessions[CHANNEL, place.thread] == ["processing", "active"]


@pytest.mark.parametrize("fault", [FAILS, DROPS, rate_limited(5)], ids=["500", "dropped", "429"])
async def test_no_thread_looks_busy_for_ever_where_slack_fails_at_the_end(
    adapter: SlackAdapter, slack: FakeSlack, clock: FakeClock, fault: Fault
) -> None:
    place = thread_in(slack)
    ts = await adapter.begin(place, TEXT, label(), is_text=True)
    await until(lambda: slack.num_calls(METHOD) == 1)
    slack.fail(METHOD, fault)
    await adapter.finish(place, ts, TEXT, label())
    await until(lambda: slack.num_calls(METHOD) == 2)
    await until(lambda: bool(adapter._replies._sessions._slots.pause_left))
    await clock.advance(6)
    said = slack.streams.sessions[CHANNEL, place.thread]
    await until(lambda: said == ["processing", "active"])


async def test_a_reply_that_ends_while_slack_wants_a_pause_is_ended_after_it(
    adapter: SlackAdapter, slack: FakeSlack, clock: FakeClock
) -> None:
    place = thread_in(slack)
    ts = await adapter.begin(place, TEXT, label(), is_text=True)
    await until(lambda: slack.num_calls(METHOD) == 1)
    slack.fail(METHOD, rate_limited(5))
    await answer(adapter, thread_in(slack), 1)
    await adapter.finish(place, ts, TEXT, label())
    await clock.advance(6)
    said = slack.streams.sessions[CHANNEL, place.thread]
    await until(lambda: said == ["processing", "active"])


@pytest.mark.parametrize("fault", [FAILS, DROPS, rate_limited(1)], ids=["500", "dropped", "429"])
async def test_a_call_that_fails_is_forgotten_and_the_next_reply_has_its_stop(
    adapter: SlackAdapter, slack: FakeSlack, clock: FakeClock, fault: Fault
) -> None:
    slack.fail(METHOD, fault)
    await answer(adapter, thread_in(slack))
    await clock.advance(2)
    place = thread_in(slack)
    await answer(adapter, place, 1)
    assert slack.streams.sessions[CHANNEL, place.thread] == ["processing", "active"]


async def test_a_crowd_of_replies_stays_within_the_rates(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    for number in range(40):
        await answer(adapter, thread_in(slack), number)
    assert 20 < slack.num_calls(METHOD) <= 50
    assert {statuses[-1] for statuses in slack.streams.sessions.values()} == {"active"}


async def test_a_missing_subscription_is_said_once(
    adapter: SlackAdapter, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.streams.is_subscribed = False
    for number in range(3):
        await answer(adapter, thread_in(slack), number)
    said = [line for line in caplog.messages if "agent_session_stopped" in line]
    assert len(said) == 1


def stopped(**more: object) -> Json:
    event: Json = {
        "type": "agent_session_stopped",
        "channel": CHANNEL,
        "thread_ts": "1700000000.000001",
        "user": ADA,
        "event_ts": "1700000009.000001",
        "streaming_message_ts": ["1700000005.000001"],
    }
    return envelope({**event, **more}, "Ev1")


def test_the_stop_of_a_stream_is_the_stop_of_its_reply() -> None:
    read = read_event(stopped(), ME, {})
    assert isinstance(read, StopRequest)
    assert (read.message_id, read.reaction) == ("1700000005.000001", None)
    assert read.person.id == "slack:T01/U01"
    assert read.place.thread == "1700000000.000001"


@pytest.mark.parametrize("streams", [[], None, ["x"], 7])
def test_the_stop_of_a_reply_that_grows_by_edits_is_said_in_its_thread(streams: object) -> None:
    read = read_event(stopped(streaming_message_ts=streams), ME, {})
    assert isinstance(read, Command)
    assert (read.name, read.place.thread) == ("stop", "1700000000.000001")


@pytest.mark.parametrize("lacking", ["channel", "thread_ts", "user"])
def test_a_stop_that_does_not_say_whose_it_is_stops_nothing(lacking: str) -> None:
    assert read_event(stopped(**{lacking: ""}), ME, {}) is None
