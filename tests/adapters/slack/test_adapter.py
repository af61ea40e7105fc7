"""What reaches Slack, and what never does."""

from __future__ import annotations

import asyncio
import json
import logging

import aiohttp
import pytest

from adapters.slack import create
from adapters.slack.adapter import SlackAdapter
from adapters.slack.diagnosis import examine
from bot.capabilities import FindsPosts, HasRoutes, Reacts, Whispers
from bot.clock import SystemClock
from bot.errors import MessageGone, NotPermitted, PlatformRefused, SettingsError, Unavailable
from bot.ports import AdapterContext
from bot.types import Label, Person, Place
from tests.adapters.slack.conftest import Observed, make_adapter
from tests.fakes.slack import DROPS, FAILS, HANGS, SECRET, TOKEN, FakeSlack, Fault
from tests.fakes.slack_api import ADA, BOT, CHANNEL, DIRECT, NOT_A_MEMBER, TEAM
from tests.ports import free_port

FLAT = Place("slack", TEAM, DIRECT, "")
LABEL = Label("turn-1", 0)


@pytest.fixture
def thread(slack: FakeSlack) -> Place:
    """A thread that exists."""
    root = slack.keep({"type": "message", "user": ADA, "text": "root", "channel": CHANNEL})
    return Place("slack", TEAM, CHANNEL, root)


def test_slack_can_do_what_parley_asks_of_it(adapter: SlackAdapter) -> None:
    for ability in (Whispers, Reacts, FindsPosts, HasRoutes):
        assert isinstance(adapter, ability)


async def test_a_reply_stands_in_its_thread(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    ts = await adapter.post(thread, adapter.render("**hi**"), LABEL)
    assert [message["ts"] for message in slack.thread(thread.thread)] == [thread.thread, ts]
    assert slack.text(ts) == "*hi*"


async def test_a_direct_message_is_answered_flat(adapter: SlackAdapter, slack: FakeSlack) -> None:
    ts = await adapter.post(FLAT, adapter.render("hi"), LABEL)
    assert "thread_ts" not in slack.messages[DIRECT, ts]
    assert await adapter.find_posts(FLAT, "turn-1") == {0: ts}


async def test_nothing_unfurls_and_nothing_pings(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    ts = await adapter.post(thread, adapter.render("https://x.org @here"), LABEL)
    await adapter.edit(thread, ts, adapter.render("https://y.org @channel"))
    for call in slack.calls[-2:]:
        assert call.arguments["unfurl_links"] is False
        assert call.arguments["unfurl_media"] is False
        assert call.arguments["link_names"] is False
        assert call.arguments["parse"] == "none"


async def test_a_post_is_found_again_beyond_the_first_page(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    chatter = {"type": "message", "user": ADA, "text": "hm", "channel": CHANNEL}
    for _ in range(450):
        slack.keep({**chatter, "thread_ts": thread.thread})
    ts = await adapter.post(thread, adapter.render("here"), Label("turn-9", 3))
    assert await adapter.find_posts(thread, "turn-9") == {3: ts}
    assert slack.num_calls("conversations.replies") == 3


async def test_a_label_forged_by_another_app_is_not_believed(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    await adapter.post(thread, adapter.render("real"), LABEL)
    payload = {"turn": "turn-1", "part": 1}
    metadata = {"event_type": "parley_reply", "event_payload": payload}
    forged = {"type": "message", "user": "UEVIL", "text": "x", "channel": CHANNEL}
    slack.keep({**forged, "thread_ts": thread.thread, "metadata": metadata})
    found = await adapter.find_posts(thread, "turn-1")
    assert {part: slack.text(ts) for part, ts in found.items()} == {0: "real"}


@pytest.mark.parametrize("is_answered", [True, False])
async def test_a_whisper_is_seen_by_one_person(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place, person: Person, is_answered: bool
) -> None:
    """Slack shows none in a thread that has no reply yet."""
    if is_answered:
        await adapter.post(thread, adapter.render("an answer"), LABEL)
    await adapter.whisper(thread, person, adapter.render("psst"))
    (whisper,) = slack.whispers
    assert (whisper["user"], whisper["text"]) == (ADA, "psst")
    assert whisper.get("thread_ts") == (thread.thread if is_answered else None)


async def test_eyes_are_put_under_a_question_and_taken_away(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    await adapter.react(thread, thread.thread)
    assert slack.reactions == {(CHANNEL, thread.thread, "eyes")}
    await adapter.unreact(thread, thread.thread)
    assert slack.reactions == set()


async def test_where_parley_is_no_member_it_may_not_post(adapter: SlackAdapter) -> None:
    with pytest.raises(NotPermitted):
        await adapter.post(Place("slack", TEAM, NOT_A_MEMBER, ""), adapter.render("x"), LABEL)


async def test_a_foreign_message_is_not_edited(adapter: SlackAdapter, thread: Place) -> None:
    with pytest.raises(PlatformRefused):
        await adapter.edit(thread, thread.thread, adapter.render("mine now"))


async def test_a_message_of_another_time_is_gone(adapter: SlackAdapter, thread: Place) -> None:
    with pytest.raises(MessageGone):
        await adapter.delete(thread, "1.000001")


async def test_a_reaction_to_a_lost_message_is_refused(
    adapter: SlackAdapter, thread: Place
) -> None:
    with pytest.raises(MessageGone):
        await adapter.react(thread, "1.000001")


async def test_every_call_is_counted_with_how_it_ended(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place, observed: Observed
) -> None:
    for fault in (Fault(error="a_reason"), FAILS, DROPS, HANGS):
        slack.fail("chat.update", fault)
        with pytest.raises((PlatformRefused, Unavailable)):
            await adapter.edit(thread, "1.1", adapter.render("x"))
    assert observed == [
        ("auth.test", "ok"),
        ("chat.update", "a_reason"),
        ("chat.update", "http_500"),
        ("chat.update", "dropped"),
        ("chat.update", "timeout"),
    ]


async def test_a_failed_call_is_not_repeated_behind_our_back(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    for fault in (Fault(429, "ratelimited", {"Retry-After": "0"}), FAILS, DROPS):
        slack.fail("chat.postMessage", fault)
        with pytest.raises(Exception, match=r"chat\.postMessage"):
            await adapter.post(thread, adapter.render("x"), LABEL)
    assert slack.num_calls("chat.postMessage") == 3


async def test_a_redirect_is_not_followed(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    async with FakeSlack() as elsewhere:
        moved = {"Location": f"{elsewhere.api_url}chat.postMessage"}
        for status in (301, 302, 303, 307, 308):
            slack.fail("chat.postMessage", Fault(status, headers=moved))
            with pytest.raises(PlatformRefused):
                await adapter.post(thread, adapter.render("secret"), LABEL)
        assert elsewhere.calls == []


async def test_a_proxy_of_the_environment_never_sees_a_test_servers_token(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeSlack() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.api_url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.api_url)
        async with make_adapter(slack.api_url):
            assert proxy.calls == []
    assert slack.num_calls("auth.test") == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"team_id": TEAM, "user_id": ADA, "user": "ada", "team": "Ours"},
        {"app_name": "Parley", "app_id": "A01"},
    ],
    ids=["a person's", "the app's"],
)
async def test_a_token_that_is_no_bots_is_told_from_one(
    slack: FakeSlack, answer: dict[str, str]
) -> None:
    slack.fail("auth.test", *[Fault(body=json.dumps({"ok": True, **answer}))] * 2)
    with pytest.raises(SettingsError, match="no bot's"):
        await make_adapter(slack.api_url).__aenter__()
    own = {"bot_token": "xoxp-1", "signing_secret": "0" * 32, "api_url": slack.api_url}
    findings = await asyncio.to_thread(examine, own)
    assert [status for status, *_ in findings] == ["fail"]


async def test_a_refused_token_is_a_sentence_about_the_setting(slack: FakeSlack) -> None:
    with pytest.raises(SettingsError, match="SLACK_BOT_TOKEN") as caught:
        await make_adapter(slack.api_url, token="xoxb-old").__aenter__()
    assert "xoxb-old" not in str(caught.value)


async def test_slack_out_of_reach_is_no_matter_of_settings() -> None:
    adapter = make_adapter(f"http://127.0.0.1:{free_port()}/api/")
    with pytest.raises(Unavailable) as caught:
        await adapter.__aenter__()
    assert not caught.value.ambiguous


async def test_an_answer_without_the_message_is_ambiguous(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place
) -> None:
    slack.fail("chat.postMessage", Fault(body=None))
    with pytest.raises(Unavailable) as caught:
        await adapter.post(thread, adapter.render("x"), LABEL)
    assert caught.value.ambiguous


async def test_message_text_and_secrets_stay_out_of_the_log(
    adapter: SlackAdapter, slack: FakeSlack, thread: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slack.fail("chat.update", FAILS)
    with pytest.raises(Unavailable):
        await adapter.edit(thread, "1.1", adapter.render("private words"))
    for hidden in ("private words", TOKEN, SECRET):
        assert hidden not in caplog.text
        assert hidden not in repr(adapter)


async def test_created_from_settings_it_speaks_to_slack(slack: FakeSlack) -> None:
    table = {"bot_token": TOKEN, "signing_secret": SECRET, "api_url": slack.api_url.rstrip("/")}
    context = AdapterContext(table, Observed(), SystemClock())
    async with create(context) as adapter:
        assert adapter.name == "slack"
        ts = await adapter.post(FLAT, adapter.render("hi"), LABEL)
    assert slack.messages[DIRECT, ts]["user"] == BOT


async def test_leaving_closes_every_connection(slack: FakeSlack) -> None:
    adapter = make_adapter(slack.api_url)
    sessions: list[aiohttp.ClientSession] = []
    async with adapter:
        sessions.append(adapter._connected._session)
    assert all(session.closed for session in sessions)
