"""Parley as its own process, with HTTP and Socket Mode both on: whatever Slack sends by both, at
the same moment or again, is done once. And commands that are acknowledged when it is killed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.fakes.slack import SECRET, Fault, envelope
from tests.fakes.slack_api import ADA, BOT, CHANNEL, Json
from tests.fakes.slack_blocks import pressed
from tests.fakes.slack_presses import interaction
from tests.fakes.slack_socket import APP_TOKEN
from tests.scenarios.disk import turn_rows
from tests.scenarios.plug import Scene, scene
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@asynccontextmanager
async def both_ways(folder: Path) -> AsyncIterator[Scene]:
    async with scene(folder, SLACK_SIGNING_SECRET=SECRET, SLACK_APP_TOKEN=APP_TOKEN) as it:
        await it.slack.socket.connected()
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with both_ways(tmp_path_factory.mktemp("ways")) as it:
        yield it


async def http(it: Scene, kind: str, payload: Json, retry: int = 0) -> bool:
    """Whether Slack was answered 200."""
    if kind == "events_api":
        again = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"}
        return await it.slack.send(json.dumps(payload), headers=again if retry else None) == 200
    fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return await it.slack.send(urlencode(fields), headers=FORM) == 200


async def socket(it: Scene, kind: str, payload: Json, retry: int = 0) -> bool:
    """Whether the envelope was acknowledged."""
    return await it.slack.socket.deliver(kind, payload, attempt=retry)


async def at_once(it: Scene, kind: str, payload: Json, times: int = 1) -> None:
    """By both ways at the same moment, so often by each."""
    sent = [way(it, kind, payload) for way in (http, socket) for _ in range(times)]
    assert await asyncio.gather(*sent) == [True] * (2 * times)


def asked(it: Scene, text: str) -> tuple[str, Json]:
    """A mention that nobody has delivered yet: its ts, and the event."""
    said = f"<@{BOT}> {text}"
    message = {"type": "app_mention", "user": ADA, "text": said, "channel": CHANNEL}
    ts = it.slack.keep(message)
    return ts, envelope({**message, "ts": ts, "event_ts": ts}, f"Ev{ts}")


async def test_one_event_by_both_ways_at_the_same_moment_is_answered_once(it: Scene) -> None:
    events = [asked(it, f"tell me story {number}") for number in range(4)]
    for _, event in events:
        await at_once(it, "events_api", event)
    for ts, _ in events:
        await it.ends_well(ts)
        assert len(it.replies(ts)) == 1


async def test_an_event_four_times_and_twice_at_once_by_each_way_is_answered_once(
    it: Scene,
) -> None:
    ts, event = asked(it, "tell me a story")
    await at_once(it, "events_api", event, times=2)
    for retry, way in enumerate((http, socket, http, socket)):
        assert await way(it, "events_api", event, retry)
    await it.ends_well(ts)
    for way in (http, socket):
        assert await way(it, "events_api", event, 4)
    follow_up = await it.ask("and another", thread_ts=ts)
    await it.ends_well(follow_up)
    assert len(it.replies(ts)) == 2


async def test_presses_and_commands_by_both_ways_do_one_thing(it: Scene) -> None:
    ts = await it.ask("tell me a story")
    first = await it.ends_well(ts)
    (post,) = first.posts
    await eventually(lambda: "👍" in it.slack.buttons(post), what=it)
    message = it.slack.messages[CHANNEL, post]
    for title, at in (("👍", "1795154999.000100"), ("Personality…", "1795154999.000200")):
        action = pressed(message["blocks"], title, at)
        press = interaction(message, action, post, ADA, CHANNEL)
        await at_once(it, "interactive", press, times=2)
    await eventually(lambda: len(it.slack.whispers) == 2, what=it)
    command = it.slack.commands.command("ask tell me more", ADA, CHANNEL)
    await at_once(it, "slash_commands", command, times=2)
    question = await asked_for(it)
    assert posted(it) == [question]
    assert {each["text"] for each in it.slack.whispers} == {
        "Noted: 👍",
        "Who is to answer in this thread?",
    }
    assert len(it.slack.whispers) == 2


def posted(it: Scene) -> list[str]:
    """The questions that Parley posted for people, by their ts."""
    own = (m for m in it.slack.messages.values() if m["user"] == BOT)
    return [m["ts"] for m in own if "asks:*" in m["text"]]


async def asked_for(it: Scene) -> str:
    """The only question that Parley posts for people, once it is answered."""
    (question,) = await eventually(lambda: posted(it), what=it)
    await eventually(lambda: question in turn_rows(it.parley.database), what=it)
    await it.ends(question)
    return question


async def test_a_command_killed_after_its_acknowledgement_is_answered_once_by_the_next(
    tmp_path: Path,
) -> None:
    """Its question stands in the channel, and Parley has not heard of that."""
    async with both_ways(tmp_path) as it:
        it.slack.fail("chat.postMessage", Fault(hangs=True, happens=True))
        assert await it.slack.command("ask tell me a story") == 200
        await eventually(lambda: posted(it), what=it)
        await it.parley.kill()
        await it.parley.start()
        question = await asked_for(it)
        assert len(it.replies(question)) == 2
        assert posted(it) == [question]
