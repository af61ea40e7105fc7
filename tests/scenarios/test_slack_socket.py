"""Parley as its own process in Socket Mode: lines that drop, and a process that is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.slack import envelope
from tests.fakes.slack_api import ADA, BOT, CHANNEL, Json
from tests.fakes.slack_socket import Line
from tests.scenarios.plug import LONG, SHORT, Scene, scene

pytestmark = pytest.mark.model


async def test_a_line_that_drops_and_a_kill_in_the_middle_of_a_reply_lose_nothing(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, uses_socket_mode=True, PARLEY_MAX_TOKENS=LONG) as it:
        first = await it.ask("tell me a story")
        await it.grows(first)
        (await it.slack.socket.connected()).drop()
        await it.slack.socket.connected(2)
        await it.grows(first, after=len(it.slack.shown))
        second = await it.ask("and another", thread_ts=first)
        await it.parley.kill()
        assert it.turn(second).state == "queued"
        await it.parley.start(PARLEY_MAX_TOKENS=SHORT)
        await it.ends_well(first)
        await it.ends_well(second)
        third = await it.ask("and a third", thread_ts=first)
        await it.ends_well(third)
        assert len(it.replies(first)) == 3


def question_in(it: Scene, number: int) -> tuple[str, Json]:
    """A mention as an envelope of Socket Mode holds it, delivered for the first time."""
    text = f"<@{BOT}> tell me a story"
    message = {"type": "app_mention", "user": ADA, "text": text, "channel": CHANNEL}
    ts = it.slack.keep(message)
    return ts, envelope({**message, "ts": ts, "event_ts": ts}, f"EvLost{number}")


async def is_sent_as_the_line_drops(line: Line, payload: Json) -> None:
    """Nobody can know whether it was read; it was not acknowledged."""
    await line.say({"type": "events_api", "envelope_id": "lost", "payload": payload})
    line.drop()


async def test_while_slack_refreshes_the_line_a_reply_grows_and_no_question_is_lost(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, uses_socket_mode=True, PARLEY_MAX_TOKENS="60") as it:
        socket = it.slack.socket
        growing = await it.ask("tell me a story")
        await it.grows(growing)
        for number, reason in enumerate(("warning", "refresh_requested"), start=2):
            old = await socket.connected()
            await old.announce(reason)
            new = await socket.connected(number)
            assert new is not old
            await old.websocket.close()
        await it.grows(growing, after=len(it.slack.shown))
        meanwhile = await it.ask("and a second")
        lost, payload = question_in(it, 1)
        await is_sent_as_the_line_drops(await socket.connected(), payload)
        await socket.connected(4)
        assert await socket.deliver("events_api", payload, attempt=1)
        assert await socket.deliver("events_api", payload, attempt=2)
        for ts in (growing, meanwhile, lost):
            await it.ends_well(ts)
            assert len(it.replies(ts)) == 1
        assert socket.num_lines == 4
