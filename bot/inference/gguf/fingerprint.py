"""The fingerprint of a model, with which saved states and proofs are labelled."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bot.inference.gguf.parts import files_of

_SLICE_BYTES, _NUM_SLICES = 1 << 18, 16


def of(path: Path, *facts: object) -> str:
    """A hash of ``facts``, and of each file's size, its metadata and sixteen slices of it."""
    digest = hashlib.sha256(repr(facts).encode())
    for part in files_of(path):
        size = part.stat().st_size
        digest.update(str(size).encode())
        with part.open("rb") as file:
            for number in range(_NUM_SLICES):
                file.seek(number * max(0, size - _SLICE_BYTES) // (_NUM_SLICES - 1))
                digest.update(file.read(_SLICE_BYTES))
    return digest.hexdigest()
