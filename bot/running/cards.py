"""Cards of the models: what their files say about them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.config import Settings
from bot.errors import ModelError, StillLoading
from bot.inference.gguf.metadata import read_texts
from bot.inference.model_files import locate
from bot.inference.multi_model.catalogue import Catalogue
from bot.ports import generator_of
from bot.running.engines import Engine
from bot.types import ModelCard


class ModelCards:
    """``describe`` is ``bot.ports.DescribeModel``. Each file is read once."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, engine: Callable[[], Engine | None]
    ) -> None:
        self._is_remote = settings.is_remote
        self._catalogue = catalogue
        self._engine = engine
        self._files: dict[str, tuple[str | None, dict[str, str]]] = {}

    async def describe(self, name: str | None) -> ModelCard:
        engine = self._engine()
        if engine is None:
            raise StillLoading
        model = await generator_of(engine, name)
        if self._is_remote:
            return ModelCard(model.name, context=model.window)
        if model.name not in self._files:
            source = self._catalogue.sources.get(model.name, "")
            self._files[model.name] = await asyncio.to_thread(_read, source)
        file, texts = self._files[model.name]
        return ModelCard(
            model.name,
            file,
            model.window,
            title=texts.get("general.name"),
            organization=texts.get("general.organization"),
            license=texts.get("general.license"),
            architecture=texts.get("general.architecture"),
            size=texts.get("general.size_label"),
        )


def _read(source: str) -> tuple[str | None, dict[str, str]]:
    """Nothing of a file that is gone."""
    try:
        path = locate.locate(source)
        return path.name, read_texts(path)
    except (ModelError, OSError):
        return None, {}
