"""Parley as its own process in Socket Mode: lines that drop, and a process that is killed."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.plug import LONG, SHORT, scene


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
