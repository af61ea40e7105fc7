"""What is known of a model that answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from bot.config import load_settings
from bot.errors import EngineFailed
from bot.running.cards import ModelCards
from bot.running.engines import Engine, make_catalogue
from bot.types import ModelCard
from tests.fakes.generator import ScriptedGenerator


async def cards(folder: Path, engine: ScriptedGenerator | None, **environ: str) -> ModelCards:
    settings = await asyncio.to_thread(load_settings, environ, folder)
    catalogue = await asyncio.to_thread(make_catalogue, settings)
    return ModelCards(settings, catalogue, lambda: cast("Engine | None", engine))


async def test_a_models_file_tells_its_licence(tmp_path: Path) -> None:
    card = await (await cards(tmp_path, ScriptedGenerator(2048, "smollm2"))).describe(None)
    assert card.name == "smollm2"
    assert card.file == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert card.context == 2048
    assert (card.license, card.architecture, card.size) == ("apache-2.0", "llama", "135M")


async def test_of_a_model_behind_a_server_only_the_name_is_known(tmp_path: Path) -> None:
    engine = ScriptedGenerator(4096, "mistral")
    made = await cards(tmp_path, engine, PARLEY_ENGINE_URL="http://127.0.0.1:9/v1")
    assert await made.describe(None) == ModelCard("mistral", context=4096)


async def test_a_file_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    engine = ScriptedGenerator(4096, "gone")
    made = await cards(tmp_path, engine, PARLEY_MODEL=str(tmp_path / "gone.gguf"))
    assert await made.describe(None) == ModelCard("gone", context=4096)


async def test_there_is_no_card_before_the_model_is_loaded(tmp_path: Path) -> None:
    made = await cards(tmp_path, None)
    with pytest.raises(EngineFailed, match="still loading"):
        await made.describe(None)
