"""Two models in one Parley, as an operator sets them up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from bot.inference.model_files import locate
from tests.ports import free_port
from tests.scenarios.asking import metric, post
from tests.scenarios.command import command
from tests.scenarios.parley import Parley, running_parley

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

ASSISTANT = "---\ntitle: Assistant\n---\nYou are kind.\n"


def set_up(folder: Path, model: str) -> dict[str, str]:
    """The embedded model a second time as ``twin``, and a personality that names ``model``."""
    (folder / "models").mkdir()
    (folder / "models" / "twin.gguf").symlink_to(locate.locate(locate.EMBEDDED))
    (folder / "mine").mkdir()
    (folder / "mine" / "assistant.md").write_text(ASSISTANT)
    front = f"---\ntitle: Pirate\nmodel: {model}\n---\nYou are a pirate.\n"
    (folder / "mine" / "pirate.md").write_text(front)
    return {
        "PARLEY_MODEL_DIR": str(folder / "models"),
        "PARLEY_PERSONALITIES": str(folder / "mine"),
        "PARLEY_MAX_TOKENS": "8",
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    folder = tmp_path_factory.mktemp("parley")
    settings = await asyncio.to_thread(set_up, folder, "twin")
    async with running_parley(folder, free_port(), settings) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output


def body(model: str, **options: object) -> bytes:
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    return json.dumps({"model": model, "messages": messages, **options}).encode()


async def test_every_model_is_listed_and_a_personality_brings_its_own(parley: Parley) -> None:
    url = f"{parley.url}/v1/models"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        names = [each["id"] for each in (await response.json())["data"]]
    assert names == ["smollm2", "twin", "assistant", "pirate"]
    assert (await post(parley, body("smollm2"))).text
    assert await metric(parley, "parley_models_loaded") == 1
    assert (await post(parley, body("pirate"))).text
    assert await metric(parley, "parley_models_loaded") == 2
    assert (await post(parley, body("twin"))).text
    assert await metric(parley, "parley_model_loads_total") == 2


async def test_a_personality_that_names_no_model_of_ours_refuses_the_start(
    tmp_path: Path,
) -> None:
    settings = await asyncio.to_thread(set_up, tmp_path, "twim")
    result = await command(tmp_path, "run", environ=settings)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert "pirate.md:3: model should be one of smollm2, twin, " in line
    assert line.endswith("or hf:…, and is 'twim'.")


async def test_ask_alone_loads_the_personality_s_own_model_only(tmp_path: Path) -> None:
    settings = await asyncio.to_thread(set_up, tmp_path, "twin")
    broken = {**settings, "PARLEY_MODEL": str(tmp_path / "nothing.gguf")}
    result = await command(tmp_path, "ask", "-p", "pirate", "Hi", environ=broken)
    assert (result.code, result.err) == (0, "")
    assert result.out.strip()
