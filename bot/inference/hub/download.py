"""Downloads a model into the hub's cache, after looking whether it fits there and in memory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from filelock import FileLock

from bot.errors import ModelError
from bot.inference.gguf.memory_check import ModelFacts
from bot.inference.gguf.metadata import read_head
from bot.inference.hub.cache import HubCache
from bot.inference.hub.client import FoundModel, HubClient, HubFile
from bot.inference.hub.refusals import in_one_sentence
from bot.inference.hub.transfer import Transfer
from bot.model_names import HubModel

_START = 1 << 18
"""Bytes in which a GGUF's metadata before the vocabulary has room, many times."""
_LARGEST = 50 * 10**9
"""The hub gives larger files over another protocol only."""
_GIB = 1 << 30

Progress = Callable[[str, int, int], None]
"""A file's name, how many of its bytes are here, and how many it has. May raise to stop."""
Fits = Callable[[ModelFacts], None]
"""Raises ``ModelError`` for a model for which there is not enough memory."""


@dataclass(frozen=True, slots=True)
class Download:
    """Blocks; errors are those of ``in_one_sentence``, and what came of a file is kept."""

    client: HubClient
    cache: HubCache
    fits: Fits
    sleep: Callable[[float], None] = time.sleep

    def run(self, model: HubModel, begin: Callable[[FoundModel], None], show: Progress) -> Path:
        """The path of the model's first file; ``begin`` is called before the first byte."""
        found = self.client.look_up(model)
        if missing := [file for file in found.files if not self._blob(found, file).exists()]:
            self._check(found, missing)
            begin(found)
        with in_one_sentence(model, self.client.endpoint):
            for file in missing:
                self._bring(found, file, show)
            links = [
                self.cache.link(model.repository, found.commit, file.path, file.sha256)
                for file in found.files
            ]
            self.cache.note_commit(model.repository, found.commit)
        return links[0]

    def _bring(self, found: FoundModel, file: HubFile, show: Progress) -> None:
        """One process at a time; the others wait, and then find the file."""
        repository, name = found.model.repository, Path(file.path).name
        lock = self.cache.lock(repository, file.sha256)
        blob = self._blob(found, file)
        for folder in (lock.parent, blob.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, thread_local=False):
            if blob.exists():
                return
            part = _part(blob)
            Transfer(self.client, self.sleep).bring(
                found, file, part, lambda done: show(name, done, file.num_bytes)
            )
            part.replace(blob)

    def _check(self, found: FoundModel, missing: list[HubFile]) -> None:
        if too_large := [file.path for file in missing if file.num_bytes > _LARGEST]:
            raise ModelError(
                f"{too_large[0]} of {found.model.source} has more than the 50 GB that the hub "
                "gives over HTTP: fetch it with the hub's own `hf download`; Parley finds it."
            )
        needed = sum(file.num_bytes - _size(_part(self._blob(found, file))) for file in missing)
        free = shutil.disk_usage(_existing(self.cache.folder)).free
        if needed > free:
            raise ModelError(
                f"{found.model.source} needs {needed / _GIB:.1f} GiB of disk, and "
                f"{free / _GIB:.1f} GiB are free for {self.cache.folder}: make room, or set "
                "HF_HOME to a folder on another disk."
            )
        facts = self._facts(found)
        if not facts.is_causal:
            raise ModelError(
                f"{found.model.source} is an embedding model and cannot write text: set "
                "PARLEY_MODEL to a chat model."
            )
        self.fits(facts)

    def _facts(self, found: FoundModel) -> ModelFacts:
        """From the beginning of the first file; from the size alone if that does not tell."""
        model, first = found.model, found.files[0]
        location = self.client.locate(found, first)
        with in_one_sentence(model, self.client.endpoint):
            start = self.client.read_start(location, min(_START, first.num_bytes))
        try:
            metadata, num_vocab = read_head(BytesIO(start))
            return ModelFacts.read(metadata, num_bytes=found.num_bytes, num_vocab=num_vocab)
        except (ValueError, ModelError):
            return ModelFacts.of_size(model.name, found.num_bytes)

    def _blob(self, found: FoundModel, file: HubFile) -> Path:
        return self.cache.blob(found.model.repository, file.sha256)


def _part(blob: Path) -> Path:
    """What came so far; other programs that use the cache ignore it."""
    return blob.with_name(f"{blob.name}.incomplete")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
