"""Teams' own streaming in personal chats: its rules, and how it becomes plain edits."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from adapters.teams.activities.messages import ended
from adapters.teams.activities.streams import ReplyStream, StreamRefused
from adapters.teams.errors import refusal_of, translated
from bot.errors import MessageGone, RateLimited, ReplyStopped, Unavailable
from bot.types import Rendered
from tests.fakes.clock import FakeClock, settle
from tests.fakes.teams_activities import PERSONAL
from tests.fakes.teams_api import FakeTeamsApi, Json


class Line:
    """From the stream to the API without a socket. ``fails``: answers for the next calls."""

    def __init__(self, api: FakeTeamsApi) -> None:
        self.api = api
        self.fails: list[tuple[int, bool]] = []

    async def send(self, body: Json) -> str:
        return await self._call("POST", "", body)

    async def update(self, message_id: str, body: Json) -> None:
        await self._call("PUT", message_id, body)

    async def _call(self, method: str, message_id: str, body: Json) -> str:
        status, happens = self.fails.pop(0) if self.fails else (0, True)
        answer: Json = {}
        with translated(method, lambda *_: None):
            if happens:
                code, answer = self.api.call(method, PERSONAL, message_id, body)
                status = status or code
            if status >= 300:
                raise refusal_of(status, {}, answer)
        return str(answer.get("id", ""))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> FakeTeamsApi:
    return FakeTeamsApi(clock)


@pytest.fixture
def line(api: FakeTeamsApi) -> Line:
    return Line(api)


@pytest.fixture
def stream(line: Line, clock: FakeClock) -> ReplyStream:
    return ReplyStream(line.send, line.update, clock)


@pytest.fixture(autouse=True)
def _nothing_forbidden(api: FakeTeamsApi) -> object:
    yield
    assert api.violations == []


async def take(clock: FakeClock, call: object) -> None:
    """Make the call, letting as much time pass as it wants."""
    task = asyncio.ensure_future(cast("asyncio.Future[None]", call))
    for _ in range(5):
        await clock.advance(1.1)
    await task


def r(text: str) -> Rendered:
    return Rendered(text)


async def begin(stream: ReplyStream, clock: FakeClock, *texts: str) -> None:
    await stream.open(r("Thinking…"), is_text=False)
    for text in texts:
        await take(clock, stream.grow(r(text), is_text=True))


async def test_a_reply_is_announced_grows_and_ends_labelled(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One", "One two")
    await take(clock, stream.finish(ended("One two **three**")))
    assert [text for _, text in api.lines] == ["Thinking…"]
    assert [text for _, _, text in api.shown] == ["One", "One two", "One two **three**"]
    last = api.messages[stream.id].body
    assert last["entities"][1]["additionalType"] == ["AIGeneratedContent"]
    assert last["channelData"]["feedbackLoop"] == {"type": "default"}


async def test_what_is_begun_on_the_last_line_is_held_back_until_it_is_clear(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "It is \\*\\*bo", "It is **bold** now")
    assert api.text(stream.id) == "It is"
    await take(clock, stream.finish(ended("It is **bold** now.")))
    assert api.text(stream.id) == "It is **bold** now."


async def test_a_line_that_may_yet_become_another_is_waited_for(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    """What is shown still stands, so the stream goes on, and is not made an edited message."""
    await begin(stream, clock, "See **this** now  \n\\`", "See **this** now")
    assert api.text(stream.id) == "See **this** now"
    await take(clock, stream.grow(r("See **this** now\n\n```\nx = 1\n```"), is_text=True))
    assert api.text(stream.id) == "See **this** now\n\n```\nx = 1"
    assert {text for _, _, text in api.shown} == {api.text(stream.id), "See **this** now"}


async def test_a_reply_that_is_complete_before_it_was_streamed_ends_with_its_text(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock)
    await take(clock, stream.finish(ended("**Yes**")))
    assert api.text(stream.id) == "**Yes**"


async def test_a_stream_that_gets_old_goes_on_as_plain_edits(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One")
    await clock.advance(106)
    assert api.streams[stream.id].refusal  # ended by us, before Teams would
    await take(clock, stream.grow(r("One two"), is_text=True))
    assert api.text(stream.id) == "One two"
    await clock.advance(60)
    await take(clock, stream.finish(ended("One two three")))
    assert api.text(stream.id) == "One two three"


async def test_a_reply_that_waits_for_two_minutes_keeps_its_message(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock)
    await clock.advance(150)
    assert api.text(stream.id) == "Thinking…"
    await take(clock, stream.finish(ended("At last")))
    assert api.text(stream.id) == "At last"


async def test_where_teams_ends_the_stream_first_plain_edits_follow(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One")
    api.streams[stream.id].refusal = "Content stream finished due to exceeded streaming time."
    await take(clock, stream.grow(r("One two"), is_text=True))
    await take(clock, stream.finish(ended("One two three")))
    assert [text for _, _, text in api.shown] == ["One", "One two", "One two three"]


async def test_a_text_that_changed_ends_the_stream_and_is_edited(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One", "Another")
    assert api.text(stream.id) == "Another"
    await take(clock, stream.finish(ended("Another one")))
    assert api.text(stream.id) == "Another one"


async def test_a_last_text_that_differs_from_the_streamed_one_wins(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One")
    await take(clock, stream.finish(ended("Something else")))
    assert api.text(stream.id) == "Something else"


async def test_teams_own_stop_ends_the_reply_and_its_last_text_is_shown(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One")
    api.cancel()
    with pytest.raises(ReplyStopped):
        await take(clock, stream.grow(r("One two"), is_text=True))
    await take(clock, stream.finish(ended("One _(stopped)_")))
    assert api.text(stream.id) == "One _(stopped)_"


async def test_a_lost_answer_never_makes_the_text_shrink_or_the_sequence_fall(
    stream: ReplyStream, line: Line, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One")
    line.fails = [(502, True), (504, False)]
    for text in ("One two", "One two three"):
        with pytest.raises(Unavailable):
            await take(clock, stream.grow(r(text), is_text=True))
    await take(clock, stream.grow(r("One two three four"), is_text=True))
    await take(clock, stream.finish(ended("One two three four.")))
    assert api.text(stream.id) == "One two three four."


@pytest.mark.parametrize("happened", [True, False])
async def test_an_end_whose_answer_is_lost_is_made_good_by_an_edit(
    stream: ReplyStream, line: Line, api: FakeTeamsApi, clock: FakeClock, happened: bool
) -> None:
    await begin(stream, clock, "One")
    line.fails = [(502, happened)]
    if not happened:
        api.streams[stream.id].refusal = "it ended in another way"
    await take(clock, stream.finish(ended("One two")))
    assert api.text(stream.id) == "One two"


async def test_an_end_that_came_too_soon_is_tried_again(
    stream: ReplyStream, line: Line, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One")
    line.fails = [(429, False)]
    with pytest.raises(RateLimited):
        await take(clock, stream.finish(ended("One two")))
    await take(clock, stream.finish(ended("One two")))
    assert api.text(stream.id) == "One two"


async def test_a_refused_stream_is_told_before_anything_was_shown(
    stream: ReplyStream, api: FakeTeamsApi
) -> None:
    api.takes_streams = False
    with pytest.raises(StreamRefused):
        await stream.open(r("Thinking…"), is_text=False)
    assert api.shown == []


async def test_a_stream_refused_before_it_had_a_text_leaves_no_message(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock)
    api.streams[stream.id].refusal = "Content stream is not allowed."
    await take(clock, stream.grow(r("One"), is_text=True))
    with pytest.raises(MessageGone):
        await take(clock, stream.finish(ended("One two")))


async def test_two_who_write_at_once_write_one_after_the_other(
    stream: ReplyStream, api: FakeTeamsApi, clock: FakeClock
) -> None:
    await begin(stream, clock, "One")
    both = asyncio.gather(
        stream.grow(r("One two"), is_text=True), stream.finish(ended("One two three"))
    )
    await settle()
    await take(clock, both)
    assert api.text(stream.id) == "One two three"


async def test_a_request_that_travels_slowly_and_a_quick_one_are_still_a_second_apart(
    line: Line, api: FakeTeamsApi, clock: FakeClock
) -> None:
    delays = [0.0, 0.9, 0.0]

    async def send(body: Json) -> str:
        await clock.sleep(delays.pop(0))
        return await line.send(body)

    stream = ReplyStream(send, line.update, clock)
    await stream.open(r("Thinking…"), is_text=False)

    async def grow_twice() -> None:
        for text in ("One", "One two"):
            await stream.grow(r(text), is_text=True)

    await take(clock, grow_twice())
    assert api.text(stream.id) == "One two"
