"""Parley as its own process beside the strict Slack: what goes wrong in the middle, and its log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.slack import DROPS, DROPS_AFTER, FAILS, SECRET, TOKEN, rate_limited
from tests.fakes.slack_api import BOB, BOT, CHANNEL, NOT_A_MEMBER
from tests.fakes.slack_socket import APP_TOKEN
from tests.scenarios.plug import Scene, scene
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

HIDDEN, SAID = "tell me of Rumpelstiltskin", "the tide comes"
STREAMS = ("chat.startStream", "chat.appendStream", "chat.stopStream")


async def test_whatever_fails_each_gets_one_whole_reply_and_others_go_on(tmp_path: Path) -> None:
    async with scene(
        tmp_path, uses_socket_mode=True, PARLEY_MAX_TOKENS="45", PARLEY_LOG_LEVEL="DEBUG"
    ) as it:
        it.slack.streams.has_streams = it.slack.streams.has_sessions = True
        await it.slack.socket.connected()
        arrange_trouble(it)
        asked = [await it.ask(f"{HIDDEN} {number}") for number in range(3)]
        await it.grows(asked[0])
        it.slack.fail("chat.appendStream", rate_limited(1))
        it.slack.fail("chat.update", rate_limited(1))
        shut = await shut_in_the_middle(it)
        for ts in asked:
            await it.ends_well(ts)
        wholes = {text for ts in asked for text in it.texts(ts)}
        assert len(wholes) == 1, wholes
        assert wholes.pop().count(SAID) > 3
        assert not [key for key in it.slack.streams.streaming if key[0] == CHANNEL]
        assert (await it.ends(shut)).state in ("failed", "stopped")
        await eventually(lambda: warnings_about(it, shut), what=it)
        await command_tells(it)
        assert len(warnings_about(it, shut)) == 1
        tells_no_secret(it.parley.output)


async def test_over_http_the_log_tells_no_secret_either(tmp_path: Path) -> None:
    async with scene(tmp_path, PARLEY_LOG_LEVEL="DEBUG") as it:
        it.slack.fail("chat.postMessage", FAILS)
        it.slack.fail("chat.update", DROPS)
        ts = await it.ask(HIDDEN)
        await command_tells(it)
        assert await it.slack.send("{}", secret="guessed") == 401
        await it.ends_well(ts)
        assert SAID in it.texts(ts)[0]
        tells_no_secret(it.parley.output)


async def command_tells(it: Scene) -> None:
    """Where Parley is no member it answers at the ``response_url``."""
    assert await it.slack.command("help", channel=NOT_A_MEMBER) == 200
    await eventually(lambda: it.slack.commands.told, what=it)


def arrange_trouble(it: Scene) -> None:
    for method in (*STREAMS, "chat.postMessage", "chat.update"):
        it.slack.fail(method, FAILS, DROPS, DROPS_AFTER)


async def shut_in_the_middle(it: Scene) -> str:
    """Another channel is archived while a reply grows there."""
    it.slack.channels.add("C03")
    it.slack.members.add("C03")
    ts = await it.slack.say(f"<@{BOT}> {HIDDEN}", user=BOB, channel="C03")
    await eventually(lambda: len(it.slack.thread(ts, "C03")) > 1, what=it)
    it.slack.archived.add("C03")
    return ts


def warnings_about(it: Scene, ts: str) -> list[str]:
    lines = [line for line in it.parley.output.splitlines() if it.turn(ts).id in line]
    return [line for line in lines if "WARNING" in line or "ERROR" in line]


def tells_no_secret(log: str) -> None:
    assert " DEBUG " in log
    for secret in (TOKEN, APP_TOKEN, SECRET, "/respond/", "ticket-", "Rumpelstiltskin", SAID):
        assert secret not in log
