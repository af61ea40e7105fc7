"""Faster copies as an operator meets them: at a first start, and by ``models optimize``."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from bot.inference.llama.backend import supports_gpu
from tests.fakes.tiny_models import LLAMA, write_tiny_model
from tests.ports import free_port
from tests.scenarios.command import bound_by_file_modes, command, full_disk
from tests.scenarios.parley import running_parley
from tests.vocabularies import vocabularies_or_skip

pytestmark = pytest.mark.model
MEGABYTE = 1 << 20
FIGURE = r"-?\d[\d,]*(\.\d+)?"
"""Whatever a processor makes of it."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What was tried in one test is not tried in another one."""
    cache = tmp_path_factory.mktemp("cache")
    small = {"PARLEY_KV_TOKENS": "1024", "PARLEY_RUNNING": "2"}
    return {"PARLEY_OPTIMIZE": "auto", "XDG_CACHE_HOME": str(cache), **small}


@pytest.mark.skipif(supports_gpu(), reason="with a GPU the original is used")
async def test_models_try_computes_with_the_model_and_with_the_copy_of_it(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    for note in ("making a copy of smollm2 that a CPU runs faster, once ...\n", ""):
        result = await command(tmp_path, "models", "try", environ=settings)
        assert (result.code, result.out) == (0, f"{note}llama.cpp computes with smollm2.\n")
    proofs = Path(settings["XDG_CACHE_HOME"]) / "parley/proofs"
    kept = [json.loads(proof.read_text()) for proof in proofs.iterdir()]
    original, copy = sorted(proof["model"] for proof in kept)
    assert original == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert copy.endswith("-Q8_0.gguf")


@pytest.mark.skipif(supports_gpu(), reason="with a GPU the original is used")
async def test_a_first_start_says_that_it_makes_a_copy_and_runs_on_it(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    async with running_parley(tmp_path, free_port(), settings) as parley:
        assert "making a copy of smollm2 that a CPU runs faster, once ..." in parley.output
        assert re.search(r"file +\S+/data/models/smollm2-\w+-Q8_0\.gguf \(138 MiB\)", parley.output)
        async with aiohttp.ClientSession() as session, session.get(f"{parley.url}/metrics") as page:
            assert 'parley_model_copies_total{outcome="used"} 1.0' in await page.text()


async def test_models_optimize_says_what_a_copy_of_ones_own_model_costs(tmp_path: Path) -> None:
    vocabulary = vocabularies_or_skip() / "ggml-vocab-llama-spm.gguf"
    mine = await asyncio.to_thread(write_tiny_model, tmp_path / "mine.gguf", LLAMA, vocabulary)
    before = mine.read_bytes()
    environ = {"PARLEY_MODEL": "mine.gguf"}
    result = await command(tmp_path, "models", "optimize", "--to", "q4_0", environ=environ)
    assert result.code == 0, result
    (copy,) = (tmp_path / "data" / "models").glob("mine-*-Q4_0.gguf")
    text = " ".join(result.out.split())
    size = f"size {FIGURE} MiB, the original {FIGURE} MiB"
    divergence = f"KL divergence {FIGURE} nats a token"
    answers = f"answers {divergence}, the same favourite after {FIGURE}% of them"
    speed = f"{FIGURE} tokens a second, {FIGURE} times the original's {FIGURE}"
    assert re.search(f"{size} {answers}.* prompts {speed} replies {speed} Only the embedded", text)
    assert text.endswith(f"set PARLEY_MODEL={copy}")
    assert mine.read_bytes() == before


async def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = await command(tmp_path, "models", "optimize", before=full_disk(50 * MEGABYTE))
    assert result.code == 2
    assert result.err.startswith("No copy of smollm2 could be made: ")
    assert result.err.count("\n") == 1
    assert [path.suffix for path in (tmp_path / "data" / "models").iterdir()] == [".lock"]


async def test_a_folder_without_permission_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir(mode=0o500)
    environ = {"PARLEY_MODEL_DIR": "models"}
    result = await command(
        tmp_path, "models", "optimize", environ=environ, before=bound_by_file_modes
    )
    assert result.code == 2
    assert result.err == (
        "No copy of smollm2 could be made: models cannot be written: Permission denied.\n"
    )
