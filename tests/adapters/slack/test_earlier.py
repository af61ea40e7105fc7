"""What was said in a thread before Parley was mentioned in it."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.slack.adapter import SlackAdapter
from bot.capabilities import HasEarlierMessages
from bot.errors import MessageGone, NotPermitted, PlatformError, RateLimited, Unavailable
from bot.types import Label, Place
from tests.adapters.slack.payloads import forward
from tests.fakes.slack import FAILS, FakeSlack, Fault, rate_limited
from tests.fakes.slack_api import ADA, BOB, BOT, CHANNEL, DIRECT, TEAM

LATER = "9999999999.000001"


class Thread:
    """What people, apps and Parley said in one thread."""

    def __init__(self, slack: FakeSlack, channel: str = CHANNEL) -> None:
        self._slack = slack
        self._channel = channel
        self._root = ""

    def say(self, text: str, user: str = ADA, **more: Any) -> str:
        thread = {"thread_ts": self._root} if self._root else {}
        message = {"type": "message", "user": user, "text": text, "channel": self._channel}
        ts = self._slack.keep({**message, **thread, **more})
        if not self._root:
            self._root = ts
            self._slack.messages[self._channel, ts]["thread_ts"] = ts
        return ts

    @property
    def place(self) -> Place:
        return Place("slack", TEAM, self._channel, self._root)


@pytest.fixture
def thread(slack: FakeSlack) -> Thread:
    return Thread(slack)


async def test_everything_before_the_question_is_read_with_the_names_of_who_said_it(
    adapter: SlackAdapter, thread: Thread
) -> None:
    assert isinstance(adapter, HasEarlierMessages)
    thread.say("the lift is broken")
    thread.say(f"<@{BOB}> is looking at it", BOB)
    ts = thread.say(f"<@{BOT}> summarise this thread")
    thread.say("thanks", BOB)
    assert await adapter.earlier(thread.place, ts) == [
        ("Ada Lovelace", "the lift is broken"),
        ("Bob", "@Bob is looking at it"),
    ]


async def test_forwards_files_and_the_alerts_of_apps_are_read(
    adapter: SlackAdapter, thread: Thread
) -> None:
    alert = {"title": "Disk full", "text": "98 %"}
    app = {"user": "UAPP", "bot_id": "B2", "subtype": "bot_message", "username": "Pager"}
    thread.say("", attachments=[alert], **app)
    thread.say("", BOB, attachments=[forward()])
    file = {"name": "a.log", "url_private": "https://x.org/f"}
    thread.say("the log", BOB, subtype="file_share", files=[file])
    assert await adapter.earlier(thread.place, LATER) == [
        ("Pager", "[Attachment of the message]\n> Disk full\n> 98 %"),
        ("Bob", "[Forwarded message from Bob]\n> the lift is broken"),
        ("Bob", "the log [a.log]"),
    ]


async def test_what_parley_said_is_read_under_its_name(
    adapter: SlackAdapter, slack: FakeSlack
) -> None:
    thread = Thread(slack, DIRECT)
    ts = await adapter.post(Place("slack", TEAM, DIRECT, ""), adapter.render("Hi."), Label("t", 0))
    slack.messages[DIRECT, ts]["thread_ts"] = ts
    place = Place("slack", TEAM, DIRECT, ts)
    assert await adapter.earlier(place, LATER) == [("parley", "Hi.")]
    assert adapter.may_have_earlier(place, LATER)
    assert not adapter.may_have_earlier(Place("slack", TEAM, DIRECT, ""), LATER)
    assert thread.place.thread == ""


async def test_what_slack_says_itself_is_not_read(adapter: SlackAdapter, thread: Thread) -> None:
    thread.say("This message was deleted.", "USLACKBOT", subtype="tombstone")
    thread.say("joined", subtype="channel_join")
    thread.say("")
    assert await adapter.earlier(thread.place, LATER) == []


async def test_somebody_without_a_name_is_still_quoted(
    adapter: SlackAdapter, thread: Thread
) -> None:
    thread.say("hello", "UGONE")
    thread.say("hi", "")
    assert await adapter.earlier(thread.place, LATER) == [("UGONE", "hello"), ("Somebody", "hi")]


def test_a_message_that_begins_its_thread_has_nothing_before_it(adapter: SlackAdapter) -> None:
    place = Place("slack", TEAM, CHANNEL, "1.000001")
    assert not adapter.may_have_earlier(place, "1.000001")
    assert adapter.may_have_earlier(place, "1.000002")


async def test_of_a_long_thread_its_beginning_and_its_end_are_read(
    adapter: SlackAdapter, slack: FakeSlack, thread: Thread
) -> None:
    for number in range(450):
        thread.say(f"message {number}")
    texts = [text for _, text in await adapter.earlier(thread.place, LATER)]
    assert texts == ["message 0", *(f"message {number}" for number in range(400, 450))]
    assert slack.num_calls("conversations.replies") == 3


async def test_what_is_read_is_bounded(adapter: SlackAdapter, thread: Thread) -> None:
    thread.say("a" * 9_000)
    for letter in "bcdef":
        thread.say(letter * 1_500)
    texts = [text for _, text in await adapter.earlier(thread.place, LATER)]
    assert texts[0] == "a" * 3_999 + "…"
    assert [text[0] for text in texts[1:]] == ["e", "f"]
    assert sum(map(len, texts)) <= 8_000


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (rate_limited(3), RateLimited),
        (Fault(error="not_in_channel"), NotPermitted),
        (Fault(error="missing_scope"), NotPermitted),
        (Fault(error="thread_not_found"), MessageGone),
        (FAILS, Unavailable),
    ],
)
async def test_a_failed_call_is_an_error_of_ours(
    adapter: SlackAdapter,
    slack: FakeSlack,
    thread: Thread,
    fault: Fault,
    error: type[PlatformError],
) -> None:
    thread.say("hello")
    slack.fail("conversations.replies", fault)
    with pytest.raises(error):
        await adapter.earlier(thread.place, LATER)


async def test_each_name_is_looked_up_once(
    adapter: SlackAdapter, slack: FakeSlack, thread: Thread
) -> None:
    for _ in range(3):
        thread.say("hm")
        thread.say(f"<@{ADA}>", BOB)
    await adapter.earlier(thread.place, LATER)
    assert slack.num_calls("users.info") == 2
