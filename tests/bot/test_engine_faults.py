"""The engine fails in the middle of answers: what people see, and what the probes say."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.app import App
from bot.config import load_settings
from bot.inference.core.model import StepFailed
from bot.inference.core.sequence import Step
from bot.inference.llama.model import LlamaModel

pytestmark = pytest.mark.model
SMALL = {
    "PARLEY_KV_TOKENS": "1024",
    "PARLEY_PORT": "0",
    "PARLEY_RUNNING": "2",
    "PARLEY_CPU_THREADS": "1",
    "PARLEY_OPTIMIZE": "off",
}


class Faulty(LlamaModel):
    """The real model; each of the next ``num_faults`` steps that evaluate something fails."""

    num_faults = 0

    def run(self, step: Step) -> dict[int, list[int]]:
        sampled = super().run(step)
        if step.chunks and Faulty.num_faults:
            Faulty.num_faults -= 1
            raise StepFailed("llama_decode returned -3")
        return sampled


@pytest.fixture
async def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Parley with its HTTP server, its database, and a model that can be made to fail."""
    monkeypatch.setattr("bot.running.loading.LlamaModel", Faulty)
    Faulty.num_faults = 0
    async with AsyncExitStack() as stack:
        given = {**SMALL, "PARLEY_DATA_DIR": str(tmp_path / "data")}
        settings = await asyncio.to_thread(load_settings, given, tmp_path)
        app = App(settings, stack)
        await app.start()
        gc.unfreeze()
        yield (tmp_path / "data" / "parley.url").read_text().strip()


async def ask(http: aiohttp.ClientSession, url: str) -> str:
    """What came of the stream, as it was sent."""
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Say hello."}],
        "stream": True,
        "max_tokens": 4,
    }
    async with http.post(f"{url}/v1/chat/completions", json=body) as answer:
        return await answer.text()


async def status(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.get(f"{url}/readyz") as answer:
        return answer.status, json.loads(await answer.text())["model"]["status"]


async def test_a_fault_ends_the_answer_with_a_sentence_and_three_turn_the_probe_red(
    url: str,
) -> None:
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            Faulty.num_faults = 1
            assert "Please ask again." in await ask(http, url)
            assert await status(http, url) == (200, "up")
            assert "Please ask again." not in await ask(http, url)
        Faulty.num_faults = 1
        await ask(http, url)
        assert await status(http, url) == (503, "failing")
        assert '"content"' in await ask(http, url)
        async with http.get(f"{url}/metrics") as answer:
            assert "parley_engine_restarts_total 3.0" in await answer.text()
