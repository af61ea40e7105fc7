"""Parley as a service: what systemd hears of it, and what its log tells programs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.ports import free_port
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

STORY = {"messages": [{"role": "user", "content": "Write a very long story about a llama."}]}


@pytest_asyncio.fixture
async def heard(tmp_path: Path) -> AsyncIterator[list[str]]:
    """What systemd has heard so far, which reads all the time: its queue holds ten messages."""
    facts: list[str] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        loop.add_reader(systemd, lambda: facts.extend(systemd.recv(4096).decode().splitlines()))
        yield facts
        loop.remove_reader(systemd)


def records(parley: Parley) -> list[dict[str, Any]]:
    return [json.loads(line) for line in parley.output.splitlines() if line.startswith("{")]


async def test_a_service_is_ready_alive_looked_into_and_stopped(
    tmp_path: Path, heard: list[str]
) -> None:
    settings = {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "300000",
        "PARLEY_LOG_FORMAT": "json",
        "PARLEY_MAX_TOKENS": "120",
    }
    async with running_parley(tmp_path, free_port(), settings) as parley:
        await eventually(lambda: "WATCHDOG=1" in heard)
        assert heard[:4] == [
            "STATUS=Loading smollm2",
            "READY=1",
            f"STATUS=Ready at {parley.url} with smollm2",
            "WATCHDOG=1",
        ]

        async with aiohttp.ClientSession(headers=parley.own_key) as session:
            asking = asyncio.create_task(_ask(session, parley))
            stacks = await eventually(lambda: _stacks(parley), what=parley.output)
            num_heard = len(heard)
            await eventually(lambda: "WATCHDOG=1" in heard[num_heard:])  # while it computes
            await asking
        assert await parley.stop() == 0
        assert {"STOPPING=1", "STATUS=Stopping"} <= set(heard)
    assert "in run" in stacks
    assert "Task parley-engine (most recent call first):" in stacks
    (turn,) = (each for each in records(parley) if each["logger"] == "bot.turns")
    assert (turn["platform"], turn["model"]) == ("/v1/chat/completions", "smollm2")
    assert turn["completion_tokens"] > 10
    assert "llama" not in json.dumps(turn).replace("llama.cpp", "")


async def _ask(session: aiohttp.ClientSession, parley: Parley) -> None:
    async with session.post(f"{parley.url}/v1/chat/completions", json=STORY) as answer:
        assert answer.status == 200, await answer.text()


def _stacks(parley: Parley) -> str | None:
    """Asks until a thread computes."""
    os.kill(parley.pid, signal.SIGUSR2)
    texts = [each["message"] for each in records(parley) if each["logger"] == "bot.running.stacks"]
    return next((text for text in texts if "_run" in text and "llama/model.py" in text), None)
