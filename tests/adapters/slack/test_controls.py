"""A reply's buttons from its first post to its end, on the strict Slack."""

from __future__ import annotations

import pytest

from adapters.slack.adapter import SlackAdapter
from bot.capabilities import GrowsReplies, OffersChoices
from bot.errors import MessageTooLong
from bot.types import NOTICE, Choice, Label, Place, ReplyEnd
from tests.fakes.slack import FakeSlack, Fault
from tests.fakes.slack_api import ADA, CHANNEL, TEAM

LABEL = Label("turn-1", 0)
ENDED = ["Retry", "Personality…", "👍", "👎"]


@pytest.fixture
def thread(slack: FakeSlack) -> Place:
    root = slack.keep({"type": "message", "user": ADA, "text": "root", "channel": CHANNEL})
    return Place("slack", TEAM, CHANNEL, root)


def test_slack_has_buttons(adapter: SlackAdapter) -> None:
    for ability in (GrowsReplies, OffersChoices):
        assert isinstance(adapter, ability)


async def test_stop_stands_under_a_reply_from_its_first_post_and_goes_at_its_end(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    ts = await adapter.begin(thread, adapter.render("Thinking…"), LABEL, is_text=False)
    assert slack.buttons(ts) == ["Stop"]
    await adapter.grow(thread, ts, adapter.render("**Be**"), is_text=True)
    assert (slack.text(ts), slack.buttons(ts)) == ("*Be*", ["Stop"])
    assert await adapter.finish(thread, ts, adapter.render("Because."), LABEL, ReplyEnd()) == ts
    assert (slack.text(ts), slack.buttons(ts)) == ("Because.", ENDED)


async def test_a_long_reply_has_buttons_under_its_last_message_only(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    first = await adapter.begin(thread, adapter.render("One"), LABEL, is_text=True)
    await adapter.finish(thread, first, adapter.render("One."), LABEL)
    second = await adapter.begin(thread, adapter.render("Two"), Label("turn-1", 1), is_text=True)
    assert (slack.buttons(first), slack.buttons(second)) == ([], ["Stop"])
    end = ReplyEnd(can_continue=True)
    await adapter.finish(thread, second, adapter.render("Two."), Label("turn-1", 1), end)
    assert (slack.buttons(first), slack.buttons(second)) == ([], ["Continue", *ENDED])


async def test_a_reply_that_is_posted_whole_has_its_buttons_and_one_that_grows_again_its_stop(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    ts = await adapter.finish(thread, None, adapter.render("Because."), LABEL, ReplyEnd())
    assert slack.buttons(ts) == ENDED
    await adapter.grow(thread, ts, adapter.render("Thinking…"), is_text=False)
    assert (slack.text(ts), slack.buttons(ts)) == ("Thinking…", ["Stop"])


async def test_a_reply_of_an_earlier_process_grows_and_ends_like_any_other(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    ts = await adapter.begin(thread, adapter.render("Be"), LABEL, is_text=True)
    async with adapter:
        pass
    async with adapter:
        await adapter.grow(thread, ts, adapter.render("Again"), is_text=True)
        assert slack.buttons(ts) == ["Stop"]
        await adapter.finish(thread, ts, adapter.render("Again."), LABEL, ReplyEnd())
    assert slack.buttons(ts) == ENDED


async def test_posts_with_buttons_are_found_by_their_turn(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    ts = await adapter.begin(thread, adapter.render("Be"), LABEL, is_text=True)
    await adapter.finish(thread, ts, adapter.render("Because."), LABEL, ReplyEnd())
    assert await adapter.find_posts(thread, "turn-1") == {0: ts}


@pytest.mark.parametrize("call", ["chat.postMessage", "chat.update"])
async def test_a_reply_is_shown_without_buttons_where_slack_refuses_them(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place, call: str
) -> None:
    slack.fail(call, Fault(error="invalid_blocks"))
    ts = await adapter.begin(thread, adapter.render("Be"), LABEL, is_text=True)
    await adapter.grow(thread, ts, adapter.render("Because"), is_text=True)
    assert slack.text(ts) == "Because"


async def test_a_notice_is_plain_and_an_edit_of_it_too(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    ts = await adapter.post(thread, adapter.render("Forgotten."), Label(f"{NOTICE}e", 0))
    await adapter.edit(thread, ts, adapter.render("Forgotten: 1 turn."))
    assert (slack.text(ts), slack.buttons(ts)) == ("Forgotten: 1 turn.", [])


@pytest.mark.parametrize("number", [1, 3, 25, 26, 60])
async def test_choices_stand_under_what_is_said(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place, number: int
) -> None:
    choices = [Choice(f"Choice {each}", f"say {each}") for each in range(number)]
    ts = await adapter.offer(thread, adapter.render("Choose:"), choices, Label(f"{NOTICE}e", 0))
    assert slack.text(ts) == "Choose:"
    assert slack.buttons(ts) == [each.title for each in choices]


@pytest.mark.parametrize(
    ("text", "says"), [("x" * 3001, "a"), ("Choose:", "a" * 1999)], ids=["text", "choices"]
)
async def test_what_is_too_large_for_buttons_is_left_to_plain_messages(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place, text: str, says: str
) -> None:
    choices = [Choice(f"Choice {each}", says) for each in range(20)]
    with pytest.raises(MessageTooLong):
        await adapter.offer(thread, adapter.render(text), choices, Label(f"{NOTICE}e", 0))
    assert slack.num_calls("chat.postMessage") == 0
