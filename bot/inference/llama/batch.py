"""Batch: what one ``llama_decode`` evaluates."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp as llama
import numpy as np

from bot.inference.core.sequence import Chunk
from bot.inference.llama.pointer import pointer_to


class Batch:
    """A llama_batch over arrays of ours: filled through numpy, one slot per token.

    The binding's ``add_sequence`` restarts positions at 0 and cannot continue a sequence.
    """

    def __init__(self, size: int) -> None:
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._slots = np.zeros(size, np.int32)
        self._wants = np.zeros(size, np.int8)
        self._ones = np.ones(size, np.int32)
        addresses = self._slots.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        self._slot_pointers = np.ascontiguousarray(addresses, np.uint64)
        self.native = llama.llama_batch()
        self.native.token = pointer_to(self._tokens, llama.llama_token)
        self.native.pos = pointer_to(self._positions, llama.llama_pos)
        self.native.n_seq_id = pointer_to(self._ones, ctypes.c_int32)
        self.native.seq_id = pointer_to(self._slot_pointers, ctypes.POINTER(llama.llama_seq_id))
        self.native.logits = pointer_to(self._wants, ctypes.c_int8)

    def fill(self, chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
        """Lay the chunks in; ``(slot, index)`` of every token whose successor is wanted."""
        tokens: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        outputs: list[tuple[int, int]] = []
        for chunk in chunks:
            num_tokens = len(chunk.tokens)
            tokens += chunk.tokens
            positions += range(chunk.start, chunk.start + num_tokens)
            slots += [chunk.slot] * num_tokens
            if chunk.wants_token:
                outputs.append((chunk.slot, len(tokens) - 1))
        end = len(tokens)
        self._tokens[:end], self._positions[:end], self._slots[:end] = tokens, positions, slots
        self._wants[:end] = 0
        self._wants[[index for _, index in outputs]] = 1
        self.native.n_tokens = end
        return outputs

    def want_all(self) -> None:
        """Scores after every token, not after the last of a chunk alone."""
        self._wants[: self.native.n_tokens] = 1
