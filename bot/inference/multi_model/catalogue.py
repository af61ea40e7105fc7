"""The names of the models: the default one, files in a folder, and those of personalities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}$")
_COPY = re.compile(r"-[0-9a-f]{12}-[A-Z][A-Z0-9_]+$")
"""A requantised copy of another model; see ``bot.inference.model_files.requantised``."""

_PICTURES = "mmproj"
"""Prefix of the image encoders of multimodal models, which cannot run by themselves."""


class Catalogue:
    """``sources`` maps names to paths, or to other arguments of ``model_files.locate.locate``."""

    def __init__(self, name: str, source: str, folder: Path) -> None:
        self._default = {name: source}
        self._folder = folder
        self._named: dict[str, str] = {}
        self.sources: Mapping[str, str] = self._default

    def add(self, name: str, source: str) -> bool:
        """Whether ``name`` now is ``source``; one that was there before is preferred."""
        self._named[name] = source
        if name not in self.sources:
            self.sources = {**self.sources, name: source}
        return self.sources[name] == source

    def read(self) -> tuple[str, ...]:
        """Read the folder again and return the names. Blocks."""
        paths = sorted(self._folder.glob("*.gguf")) if self._folder.is_dir() else []
        found = {path.stem: str(path) for path in paths if _is_model(path.stem)}
        preferred = {**self._named, **found, **self._default}
        order = (*self._default, *found, *self._named)
        self.sources = {name: preferred[name] for name in order}
        return tuple(self.sources)


def _is_model(stem: str) -> bool:
    return not (_LATER_PART.search(stem) or _COPY.search(stem) or stem.startswith(_PICTURES))
