"""Slack's native streams: their rules, and how a reply goes on by edits whatever becomes of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.slack.adapter import SlackAdapter
from bot.errors import MessageGone, RateLimited, ReplyStopped, Unavailable
from bot.markdown.layout import Layout
from bot.types import Label, Person, Place, Rendered
from tests.adapters.slack.conftest import bound_socket, make_adapter, serving
from tests.fakes.clock import FakeClock
from tests.fakes.slack import DROPS, DROPS_AFTER, FAILS, FAILS_AFTER, FakeSlack, Fault, rate_limited
from tests.fakes.slack_api import ADA, CHANNEL, DIRECT, TEAM

FIRST, MORE, ALL = "Once upon a time", "Once upon a time there **was a", "Once upon. *Here:* `x`"
CALLS = {"start": "chat.startStream", "append": "chat.appendStream", "stop": "chat.stopStream"}
FAULTS = {"500": FAILS, "500 after": FAILS_AFTER, "dropped": DROPS, "dropped after": DROPS_AFTER}
REFUSALS = (
    "message_not_in_streaming_state", "streaming_state_conflict", "feature_not_enabled",
    "unknown_method", "not_allowed_token_type", "channel_type_not_supported", "invalid_chunks",
    "msg_too_long", "no_text", "missing_recipient_user_id", "a_new_reason",
)  # fmt: skip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def slack(clock: FakeClock) -> AsyncIterator[FakeSlack]:
    async with FakeSlack(clock) as fake:
        fake.streams.has_streams = True
        yield fake
    assert fake.violations == []
    assert fake.streams.num_streams_limited == 0


@pytest.fixture
async def adapter(slack: FakeSlack, clock: FakeClock) -> AsyncIterator[SlackAdapter]:
    listener, slack.events_url = bound_socket()
    adapter = make_adapter(slack.api_url, clock=clock)
    async with serving(adapter, listener), adapter:
        yield adapter


@pytest.fixture
def place(slack: FakeSlack) -> Place:
    root = slack.keep({"type": "message", "user": ADA, "text": "root", "channel": CHANNEL})
    return Place("slack", TEAM, CHANNEL, root)


@pytest.fixture
def label(place: Place) -> Label:
    return Label("turn-1", 0, asker=Person.at(place, ADA))


class Reply:
    """One reply, grown as the core does it: what failed for now is tried once more."""

    def __init__(self, adapter: SlackAdapter, place: Place, label: Label) -> None:
        self.adapter, self.place, self.label = adapter, place, label
        self.layout = Layout(adapter.drawing, adapter.limits.max_size)
        self.ts = ""

    def drawn(self, markdown: str, *, is_growing: bool = True) -> Rendered:
        return self.layout.parts(markdown, is_growing=is_growing)[0]

    async def begin(self, markdown: str, *, is_text: bool = True) -> None:
        for attempt in range(2):
            found = await self.adapter.find_posts(self.place, "turn-1") if attempt else {}
            if found:
                self.ts = found[0]
                return
            try:
                self.ts = await self.adapter.begin(
                    self.place, self.drawn(markdown), self.label, is_text=is_text
                )
                return
            except Unavailable:
                continue
        raise AssertionError("no message")

    async def grow(self, markdown: str, *, is_text: bool = True) -> None:
        text = self.drawn(markdown)
        for _ in range(2):
            try:
                await self.adapter.grow(self.place, self.ts, text, is_text=is_text)
                return
            except Unavailable:
                continue
        raise AssertionError("no growth")

    async def finish(self, markdown: str) -> None:
        text = self.drawn(markdown, is_growing=False)
        assert await self.adapter.finish(self.place, self.ts, text, self.label) == self.ts


@pytest.fixture
def reply(adapter: SlackAdapter, place: Place, label: Label) -> Reply:
    return Reply(adapter, place, label)


async def test_what_a_card_says_is_said_again_where_slack_was_too_busy_for_it(
    slack: FakeSlack, reply: Reply, clock: FakeClock
) -> None:
    await reply.begin("_Two are before you_", is_text=False)
    slack.fail("chat.appendStream", rate_limited(1))
    with pytest.raises(RateLimited):
        await reply.grow(MORE)
    await reply.grow(MORE)
    assert "Two are before you" not in (slack.text(reply.ts) or "")


async def test_a_message_that_streams_ends_before_it_is_deleted(
    adapter: SlackAdapter, slack: FakeSlack, place: Place, reply: Reply
) -> None:
    await reply.begin(FIRST)
    await adapter.delete(place, reply.ts)
    assert slack.text(reply.ts) is None
    assert slack.num_calls("chat.stopStream") == 1
    assert adapter.growth_method(reply.ts) == "edit"


async def test_streams_end_together_where_slack_hangs_as_parley_stops(
    slack: FakeSlack, place: Place
) -> None:
    """One after the other they would take as many timeouts as there are streams."""
    adapter, answered = make_adapter(slack.api_url), asyncio.Event()
    slack.fail("chat.stopStream", *[Fault(hangs=True, until=answered)] * 5)
    async with adapter:
        for number in range(5):
            asked = Label(f"turn-{number}", 0, asker=Person.at(place, ADA))
            await adapter.begin(place, Rendered(FIRST), asked, is_text=True)
        closing = asyncio.create_task(adapter._replies.close())
        async with asyncio.timeout(1.5):
            while slack.num_calls("chat.stopStream") < 5:  # noqa: ASYNC110 - only Slack knows
                await asyncio.sleep(0.01)
        answered.set()
        await closing


async def test_people_of_another_workspace_see_their_answers_stream(
    slack: FakeSlack, reply: Reply
) -> None:
    slack.foreign[ADA] = "T02"
    await reply.begin(FIRST)
    await reply.finish(ALL)
    assert slack.num_calls("chat.stopStream") == 1


@pytest.mark.parametrize("error", ["user_not_found", "thread_not_found"])
async def test_a_reply_that_may_not_stream_takes_streams_from_no_other(
    adapter: SlackAdapter, slack: FakeSlack, place: Place, error: str
) -> None:
    slack.fail("chat.startStream", Fault(error=error))
    for number in range(2):
        asked = Label(f"turn-{number}", 0, asker=Person.at(place, ADA))
        ts = await adapter.begin(place, Rendered(FIRST), asked, is_text=True)
        await adapter.finish(place, ts, Rendered(FIRST), asked)
    assert slack.num_calls("chat.stopStream") == 1


def replies(slack: FakeSlack, place: Place) -> list[str]:
    return [message["text"] for message in slack.thread(place.thread)[1:]]


async def ends_once(reply: Reply, slack: FakeSlack) -> None:
    await reply.finish(ALL)
    assert replies(slack, reply.place) == ["Once upon. _Here:_ `x`"]
    assert not slack.streams.streaming
    assert await reply.adapter.find_posts(reply.place, "turn-1") == {0: reply.ts}


async def test_a_reply_streams_word_by_word_and_ends_as_an_edit_draws_it(
    reply: Reply, slack: FakeSlack
) -> None:
    await reply.begin(FIRST)
    assert replies(slack, reply.place) == ["Once upon a "]
    assert reply.adapter.growth_method(reply.ts) == "append"
    await reply.grow(MORE)
    assert replies(slack, reply.place) == ["Once upon a time there **was "]
    assert slack.num_calls("chat.update") == 0
    await reply.finish("Once upon a time there **was a parley**.")
    assert replies(slack, reply.place) == ["Once upon a time there *was a parley*."]
    assert slack.num_calls("chat.postMessage") == 0
    assert slack.num_calls("chat.update") == 1
    assert await reply.adapter.find_posts(reply.place, "turn-1") == {0: reply.ts}


async def test_slack_is_told_to_whom_the_reply_streams(reply: Reply, slack: FakeSlack) -> None:
    await reply.begin(FIRST)
    (call,) = [call for call in slack.calls if call.method == "chat.startStream"]
    assert call.arguments["recipient_user_id"] == ADA
    assert call.arguments["recipient_team_id"] == TEAM
    assert call.arguments["thread_ts"] == reply.place.thread


async def test_a_place_in_the_queue_is_a_card_that_goes_with_the_last_edit(
    reply: Reply, slack: FakeSlack
) -> None:
    await reply.begin("_You are next in line_", is_text=False)
    assert replies(slack, reply.place) == ["You are next in line"]
    await reply.grow("_Thinking…_", is_text=False)
    assert replies(slack, reply.place) == ["Thinking…"]
    await reply.grow(FIRST)
    assert replies(slack, reply.place) == ["Answering…\nOnce upon a "]
    await ends_once(reply, slack)


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("moment", CALLS)
async def test_whatever_slack_refuses_the_reply_stands_once_and_whole(
    reply: Reply, slack: FakeSlack, moment: str, refusal: str
) -> None:
    slack.fail(CALLS[moment], Fault(error=refusal))
    await reply.begin(FIRST)
    await reply.grow(MORE)
    if moment != "stop":
        assert replies(slack, reply.place) == ["Once upon a time there *was a*"]
        assert reply.adapter.growth_method(reply.ts) == "edit"
    await ends_once(reply, slack)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("moment", CALLS)
async def test_a_call_that_fails_neither_loses_nor_doubles_a_word(
    reply: Reply, slack: FakeSlack, moment: str, fault: Fault
) -> None:
    slack.fail(CALLS[moment], fault)
    await reply.begin(FIRST)
    await reply.grow(MORE)
    await ends_once(reply, slack)


@pytest.mark.parametrize(
    "refusal", ["feature_not_enabled", "unknown_method", "not_allowed_token_type"]
)
async def test_where_there_are_no_streams_slack_is_asked_once_only(
    reply: Reply,
    slack: FakeSlack,
    refusal: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slack.fail("chat.startStream", Fault(error=refusal))
    with caplog.at_level("INFO"):
        for _ in range(3):
            await reply.begin(FIRST)
    assert slack.num_calls("chat.startStream") == 1
    assert slack.num_calls("chat.postMessage") == 3
    assert len([line for line in caplog.messages if "no streams" in line]) == 1


async def test_a_channel_that_takes_no_streams_is_no_reason_for_others_to_do_without(
    adapter: SlackAdapter, reply: Reply, slack: FakeSlack, label: Label
) -> None:
    slack.fail("chat.startStream", Fault(error="channel_type_not_supported"))
    await reply.begin(FIRST)
    await reply.begin(FIRST)
    assert slack.num_calls("chat.startStream") == 1
    root = slack.keep({"type": "message", "user": ADA, "text": "root", "channel": DIRECT})
    there = Reply(adapter, Place("slack", TEAM, DIRECT, root), label)
    await there.begin(FIRST)
    assert adapter.growth_method(there.ts) == "append"


async def test_without_a_thread_or_an_asker_the_reply_is_posted(
    adapter: SlackAdapter, place: Place, label: Label, slack: FakeSlack
) -> None:
    flat = Place("slack", TEAM, DIRECT, "")
    await adapter.begin(flat, adapter.render("hi"), label, is_text=True)
    await adapter.begin(place, adapter.render("hi"), Label("turn-1", 0), is_text=True)
    assert slack.num_calls("chat.startStream") == 0


async def test_before_slack_closes_a_stream_edits_go_on(
    reply: Reply, slack: FakeSlack, clock: FakeClock
) -> None:
    await reply.begin(FIRST)
    await clock.advance(270)
    await reply.grow(MORE)
    assert slack.num_calls("chat.stopStream") == 1
    assert slack.num_calls("chat.appendStream") == 0
    assert replies(slack, reply.place) == ["Once upon a time there *was a*"]
    await ends_once(reply, slack)


async def test_a_stream_that_slack_closed_is_finished_all_the_same(
    reply: Reply, slack: FakeSlack, clock: FakeClock
) -> None:
    await reply.begin(FIRST)
    await clock.advance(301)
    await ends_once(reply, slack)


async def test_a_text_that_changed_goes_on_by_edits(reply: Reply, slack: FakeSlack) -> None:
    await reply.begin("one two three")
    await reply.grow("another text")
    assert replies(slack, reply.place) == ["another text"]
    await ends_once(reply, slack)


async def test_a_person_who_stops_the_stream_stops_the_reply(
    reply: Reply, slack: FakeSlack
) -> None:
    await reply.begin(FIRST)
    slack.streams.press_stop((CHANNEL, reply.ts))
    with pytest.raises(ReplyStopped):
        await reply.grow(MORE)
    await ends_once(reply, slack)


async def test_a_429_is_waited_for_and_the_same_words_come_then(
    reply: Reply, slack: FakeSlack
) -> None:
    await reply.begin(FIRST)
    slack.fail("chat.appendStream", rate_limited(3))
    with pytest.raises(RateLimited):
        await reply.grow(MORE)
    await reply.grow(MORE)
    assert replies(slack, reply.place) == ["Once upon a time there **was "]
    await ends_once(reply, slack)


async def test_a_429_at_the_start_makes_a_plain_message(reply: Reply, slack: FakeSlack) -> None:
    slack.fail("chat.startStream", rate_limited(30))
    await reply.begin(FIRST)
    assert slack.num_calls("chat.postMessage") == 1
    assert reply.adapter.growth_method(reply.ts) == "edit"


async def test_a_deleted_reply_is_gone(reply: Reply, slack: FakeSlack) -> None:
    await reply.begin(FIRST)
    del slack.messages[CHANNEL, reply.ts]
    with pytest.raises(MessageGone):
        await reply.grow(MORE)


async def test_more_replies_than_slack_lets_stream_are_posted(
    adapter: SlackAdapter, place: Place, slack: FakeSlack, clock: FakeClock
) -> None:
    asker = Person.at(place, ADA)
    for number in range(40):
        label = Label(f"turn-{number}", 0, asker=asker)
        each = Reply(adapter, place, label)
        await each.begin(FIRST)
        await each.finish(ALL)
        await clock.advance(2)
    assert slack.num_calls("chat.postMessage") > 0
    assert slack.num_calls("chat.startStream") > 18
    assert slack.streams.num_streams_limited == 0


async def test_what_a_killed_process_left_streaming_is_finished_in_its_message(
    reply: Reply, adapter: SlackAdapter, slack: FakeSlack, clock: FakeClock
) -> None:
    await reply.begin(FIRST)
    async with make_adapter(slack.api_url, clock=clock) as later:
        again = Reply(later, reply.place, reply.label)
        again.ts = reply.ts
        await again.grow(MORE)
        assert replies(slack, reply.place) == ["Once upon a time there *was a*"]
        await again.finish(ALL)
        assert replies(slack, reply.place) == ["Once upon. _Here:_ `x`"]


async def test_a_stream_of_which_nobody_noted_the_message_is_found_again(
    reply: Reply, slack: FakeSlack, clock: FakeClock
) -> None:
    foreign = {"type": "message", "user": "UBOT", "text": "a greeting", "channel": CHANNEL}
    slack.keep({**foreign, "thread_ts": reply.place.thread})
    await reply.begin(FIRST)
    async with make_adapter(slack.api_url, clock=clock) as later:
        assert await later.find_posts(reply.place, "turn-1") == {0: reply.ts}
        assert await later.find_posts(reply.place, "turn-1") == {0: reply.ts}
        assert await later.find_posts(reply.place, "turn-2") == {}
    assert not slack.streams.streaming


async def test_whoever_closes_parley_leaves_no_stream_open(slack: FakeSlack, place: Place) -> None:
    async with make_adapter(slack.api_url) as adapter:
        await Reply(adapter, place, Label("turn-1", 0, asker=Person.at(place, ADA))).begin(FIRST)
        assert slack.streams.streaming
    assert not slack.streams.streaming
