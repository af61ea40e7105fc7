"""Somebody downloads a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.inference.gguf.memory_check import ModelFacts
from bot.inference.hub.cache import HubCache
from bot.inference.hub.client import FoundModel, HubClient
from bot.inference.hub.download import Download
from bot.model_names import hub_model
from tests.fakes.hub import FakeHub

REPOSITORY = "owner/tiny-GGUF"


@dataclass
class Scene:
    """``began``: sizes that were announced; ``pauses``: seconds between attempts."""

    hub: FakeHub
    client: HubClient
    cache: HubCache
    began: list[int] = field(default_factory=list)
    shown: list[tuple[str, int, int]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    facts: list[ModelFacts] = field(default_factory=list)
    fits: Callable[[ModelFacts], None] | None = None
    stop_after: float = math.inf
    stop_with: BaseException = field(default_factory=KeyboardInterrupt)

    def offer(
        self, *paths: str, repository: str = REPOSITORY, size: int = 3_000
    ) -> dict[str, bytes]:
        """Files that begin as models do, each with bytes of its own."""
        files = {path: b"GGUF" + path.encode() * (size // len(path)) for path in paths}
        self.hub.files.setdefault(repository, {}).update(files)
        return files

    def get(self, source: str = f"hf:{REPOSITORY}") -> Path:
        model = hub_model(source)
        assert model
        work = Download(self.client, self.cache, self.fits or self.facts.append, self.pauses.append)
        return work.run(model, self._begin, self._show)

    def find(self, source: str) -> tuple[Path, ...]:
        model = hub_model(source)
        assert model
        return self.cache.find(model)

    def parts(self) -> list[Path]:
        return sorted(self.cache.folder.rglob("*.incomplete"))

    def _begin(self, found: FoundModel) -> None:
        self.began.append(found.num_bytes)

    def _show(self, name: str, done: int, total: int) -> None:
        self.shown.append((name, done, total))
        if done > self.stop_after:
            raise self.stop_with
