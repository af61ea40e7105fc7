"""NativeGrammar: a grammar as llama.cpp follows it."""

from __future__ import annotations

from typing import Any

import llama_cpp as llama
import numpy as np

from bot.inference.grammar.beginnings import Ids, Mask
from bot.inference.llama.candidates import Candidates


class NativeGrammar:
    """A grammar in llama.cpp, and where a reply stands in it."""

    def __init__(self, vocabulary: Any, text: str) -> None:
        """Raises ValueError where llama.cpp cannot follow it."""
        self._native = llama.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
        if not self._native:
            raise ValueError("llama.cpp cannot follow this grammar")

    def allowed(self, ids: Ids) -> Mask:
        candidates = Candidates(ids, np.zeros(len(ids), np.float32))
        candidates.apply(self._native)
        return candidates.are_left

    def accept(self, token: int) -> None:
        """llama.cpp ends the process at a token that is not allowed."""
        llama.llama_sampler_accept(self._native, token)

    def close(self) -> None:
        llama.llama_sampler_free(self._native)
