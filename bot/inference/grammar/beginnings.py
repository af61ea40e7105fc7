"""The tokens of a vocabulary by their first byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


class Beginnings:
    """Rules out most of a vocabulary by asking a grammar about single bytes.

    A token fits only if its first byte does, and nearly all vocabularies have a token for each
    byte alone; where there is none, that byte counts as fitting.
    """

    def __init__(self, pieces: Iterable[bytes], ends: Iterable[int]) -> None:
        firsts, bare = [], []
        for token, piece in enumerate(pieces):
            firsts.append(piece[0] if piece else -1)
            if len(piece) == 1:
                bare.append(token)
        self._firsts = np.array(firsts, np.int16)
        self._bare = np.array(bare, np.int32)
        self._ends = np.array(sorted(ends), np.int32)

    def possible(self, allowed: Callable[[Ids], Mask]) -> Ids:
        """Every token that may fit, including those that end a reply."""
        answers = allowed(self._bare)
        fits = np.ones(256, np.bool_)
        fits[self._firsts[self._bare[~answers]]] = False
        fits[self._firsts[self._bare[answers]]] = True
        begun = np.flatnonzero((self._firsts >= 0) & fits[self._firsts])
        return np.concatenate([begun.astype(np.int32), self._ends])
