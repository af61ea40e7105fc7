"""A page of csps-llm's and its scripts on their way through Parley, over a restart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.adapters.http.csps_llm.page import Page
from tests.ports import free_port
from tests.scenarios.asking import metric, until_metric
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import RAMBLING, make_personalities

pytestmark = pytest.mark.model

SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["blue", "red"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


def states(parley: Parley) -> list[str]:
    with closing(sqlite3.connect(parley.database)) as database:
        return [state for (state,) in database.execute("SELECT state FROM turns ORDER BY seq")]


async def cached(parley: Parley) -> float:
    """Tokens of prompts that were not evaluated again, but for the shared beginnings."""
    counts = [
        await metric(parley, "parley_prompt_tokens_total", source=source)
        for source in ("resumed", "restored")
    ]
    return sum(counts)


async def test_a_session_outlives_its_socket_and_the_process(tmp_path: Path) -> None:
    folder = make_personalities(tmp_path / "personalities")
    settings = {"PARLEY_PERSONALITIES": str(folder), "PARLEY_MAX_TOKENS": "2000"}
    async with running_parley(tmp_path, free_port(), settings, RAMBLING) as parley:
        async with Page(parley.url, "brief") as page:
            first = await page.ask("Is the sea blue? " * 12)
            assert first.text
            await page.socket.close()
            await page.open()
            before = await cached(parley)
            assert (await page.ask("And the sky?")).key == first.key
            assert await cached(parley) > before + 32
        async with Page(parley.url, "rambler") as page:
            await page.send("Tell me a story.")
            await page.frame()
            await parley.kill()
        await parley.start()
        assert states(parley) == ["done", "done", "interrupted"]
        async with Page(parley.url, "brief") as page:
            page.key = first.key
            assert (await page.ask("And the grass?")).key == first.key
            before = await cached(parley)
            await page.ask("And the snow?")
            assert await cached(parley) > before + 64  # all that was said before the kill, too
        async with Page(parley.url, "rambler") as page:
            await page.send("Tell me a story.")
            await page.frame()
        await until_metric(parley, "parley_running_sequences", lambda running: running == 0)
        await scripts(parley, first.key)
        assert await parley.stop() == 0
        assert "Traceback" not in parley.output


async def scripts(parley: Parley, key: str) -> None:
    async with aiohttp.ClientSession(parley.url) as client:
        asked = {"prompt": "And the sun?", "session": key}
        async with client.get("/gpt/brief", params=asked) as answer:
            assert answer.headers["X-Parley-Session"] == key
            assert await answer.text()
        async with client.post(
            "/toil/assistant", json={"prompt": "The sea?", "schema": SCHEMA}
        ) as answer:
            assert (await answer.json())["colour"] in ("blue", "red")
        async with client.get("/describe/assistant") as answer:
            model = (await answer.json())["model"]
            assert (model["name"], model["license"]) == ("smollm2", "apache-2.0")
            assert model["file"].endswith(".gguf")
        async with client.delete("/gpt/brief", params={"session": key}) as answer:
            assert answer.status == 200
