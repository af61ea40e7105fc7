"""``make try-slack``: a newcomer opens a page, asks, and ends it with Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from bot.turns.display import THINKING
from tests.local_slack import ADA, CHANNEL, LocalSlack, binary_or_skip

ROOT = Path(__file__).parents[1]
ANSWER_SECONDS = 60.0
POLL_SECONDS = 0.1
pytestmark = [pytest.mark.model, pytest.mark.local_slack]


@pytest.fixture
async def try_slack(tmp_path: Path) -> AsyncIterator[Process]:
    """Started in an empty folder, so that it meets no data of the person who runs this."""
    binary_or_skip()
    own = {"PYTHONPATH": str(ROOT), "PARLEY_PERSONALITIES": str(ROOT / "personalities")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.slack.try_slack"),
        cwd=tmp_path,
        env={**os.environ, **own},
        stdout=PIPE,
        stderr=STDOUT,
    )
    yield process
    with suppress(ProcessLookupError):
        process.terminate()
    await process.communicate()


async def announced_url(process: Process) -> str:
    assert process.stdout is not None
    seen = []
    async for line in process.stdout:
        seen.append(line.decode())
        if found := re.search(r"Open (http://127\.0\.0\.1:\d+) ", seen[-1]):
            return found[1]
    pytest.fail("".join(seen))


async def answer_to(slack: LocalSlack, question: str) -> str:
    """The reply's text once it is more than a placeholder."""
    ts = await slack.message(question, channel=CHANNEL, user=ADA)
    async with asyncio.timeout(ANSWER_SECONDS):
        while True:
            texts: list[str] = [reply["text"] for reply in await slack.replies(ts)]
            if texts and texts[0] != THINKING:
                return texts[0]
            await asyncio.sleep(POLL_SECONDS)


async def test_a_newcomer_is_answered_on_the_page_and_ctrl_c_ends_everything(
    try_slack: Process,
) -> None:
    url = await announced_url(try_slack)
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as page:
            assert "<html" in (await page.text()).lower()
        assert await answer_to(LocalSlack(url, session), "<@UBOT> What is a parley?")
    try_slack.send_signal(signal.SIGINT)
    output, _ = await try_slack.communicate()
    assert try_slack.returncode == 0
    assert output.decode().endswith("Stopped.\n")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(url)
