"""How Parley ends when it is told to while somebody is being answered."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.ports import free_port
from tests.scenarios.asking import until_metric
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import RAMBLING, make_personalities
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

STORY = "Write a very long story about a llama that walks around the world."
SETTINGS = {"PARLEY_MAX_TOKENS": "4000", "PARLEY_DRAIN_SECONDS": "600"}


async def test_a_second_ctrl_c_waits_for_no_reply(tmp_path: Path) -> None:
    personalities = str(make_personalities(tmp_path / "personalities"))
    settings = {**SETTINGS, "PARLEY_PERSONALITIES": personalities}
    async with running_parley(tmp_path, free_port(), settings, RAMBLING) as parley:
        asking = asyncio.create_task(ask(parley))
        await until_metric(parley, "parley_running_sequences", lambda running: running == 1)
        os.kill(parley.pid, signal.SIGINT)
        await eventually(lambda: "Stopping" in parley.output)
        assert not asking.done()
        os.kill(parley.pid, signal.SIGINT)
        assert await parley.ended() == 0
        said = await asking
    assert "Parley is stopping; please ask again in a moment." in said
    assert '"finish_reason": "' not in said
    assert "Traceback" not in parley.output
    assert parley.output.rstrip().endswith("Stopped.")


async def ask(parley: Parley) -> str:
    """What came of the streamed reply until its end or that of the connection."""
    said = b""
    messages = [{"role": "user", "content": STORY}]
    body = {"model": "rambler", "messages": messages, "stream": True}
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"{parley.url}/v1/chat/completions", json=body) as answer:
                async for line in answer.content:
                    said += line
        except aiohttp.ClientError:
            pass
    return said.decode()
