"""Requantised copies of a model file, which compute faster: finds and makes them.

A model has one copy; making another one deletes it. The copy's name contains the original's
hash, so that the copy of another file is never used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from glob import escape
from pathlib import Path

from filelock import FileLock

from bot.errors import ModelError
from bot.inference.llama.files import read_kind

_LOCK = ".copies.lock"
_KEY_LENGTH = 12
_FULL = 16 << 20
"""A disk with fewer free bytes counts as full."""


Quantize = Callable[[Path, Path, str, int], None]
"""Takes source, target, quantisation and number of threads, and writes the copy.

Raises ModelError, whose text is part of a sentence.
"""


class Quantisation(StrEnum):
    """llama.cpp's names. Q8_0 gives nearly the original's answers, Q4_0 is the fastest."""

    Q8_0 = "Q8_0"
    Q4_0 = "Q4_0"


class CopyFailed(Exception):
    """Its text is the reason, as part of a sentence."""


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies in ``folder`` of the model ``name`` with the file ``source``."""

    folder: Path
    name: str
    source: Path
    sha256: str
    quantize: Quantize

    def path(self, quantisation: Quantisation) -> Path:
        return self.folder / f"{self.name}-{self.sha256[:_KEY_LENGTH]}-{quantisation}.gguf"

    def find(self) -> Path | None:
        """The copy that exists and is complete, if any."""
        there = [path for q in Quantisation if (path := self.path(q)).is_file()]
        return next((path for path in there if _is_whole(path)), None)

    def make(self, quantisation: Quantisation, num_threads: int) -> Path:
        """Write a copy and move it into place atomically. Raises CopyFailed."""
        path = self.path(quantisation)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / _LOCK, thread_local=False):
                self._write(path, quantisation, num_threads)
                for other in self._others(path):
                    other.unlink(missing_ok=True)
        except OSError as error:
            raise CopyFailed(f"{self.folder} cannot be written: {error.strerror}") from error
        return path

    def _write(self, path: Path, quantisation: Quantisation, num_threads: int) -> None:
        part = path.with_suffix(".part")  # overwrites what an interrupted attempt left
        try:
            part.touch()
            self.quantize(self.source, part, quantisation, num_threads)
            _sync(part)
            part.replace(path)
        except ModelError as error:
            is_full = shutil.disk_usage(self.folder).free < _FULL
            raise CopyFailed("the disk is full" if is_full else str(error)) from error
        finally:
            part.unlink(missing_ok=True)

    def _others(self, path: Path) -> Iterator[Path]:
        """Copies in other quantisations, or of another file with this name."""
        key = "[0-9a-f]" * _KEY_LENGTH
        for quantisation in Quantisation:
            found = self.folder.glob(f"{escape(self.name)}-{key}-{quantisation}.gguf")
            yield from (other for other in found if other != path)


def _is_whole(path: Path) -> bool:
    try:
        read_kind(path)
    except ModelError:
        return False
    return True


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
