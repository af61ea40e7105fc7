"""Memory: which cells of the KV pool a slot holds, and its state outside of the pool."""

from __future__ import annotations

import ctypes
import mmap
import time
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.inference.core.model import StepFailed
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Restore
from bot.inference.llama.pointer import pointer_to


class Memory:
    """Of one context. Cells are named by the positions of their tokens in a slot."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._native = llama.llama_get_memory(context)

    def remove(self, slot: int, start: int, end: int = -1) -> None:
        """Give up the cells from ``start`` to before ``end``; raises StepFailed."""
        if not llama.llama_memory_seq_rm(self._native, slot, start, end):
            raise StepFailed(f"the cells of slot {slot} could not be removed from {start} on")

    def share(self, source: int, target: int, num_tokens: int) -> None:
        """Both hold the same cells then; nothing is copied."""
        llama.llama_memory_seq_cp(self._native, source, target, 0, num_tokens)

    def park(self, slot: int, parked: SavedState) -> None:
        started = time.perf_counter()
        self._check_length(slot, parked)
        parked.state = self.save(slot)
        parked.num_bytes = len(parked.state)
        parked.seconds = time.perf_counter() - started

    def restore(self, action: Restore) -> bool:
        """False if its state was refused; the slot is empty then."""
        started, slot, parked = time.perf_counter(), action.slot, action.parked
        if parked.state is None or not self.load(slot, parked.state):
            return False
        self._check_length(slot, parked)
        self.remove(slot, action.num_tokens)
        if action.prefix is not None:
            self.remove(slot, 0, action.num_shared)
            self.share(action.prefix, slot, action.num_shared)
        parked.seconds = time.perf_counter() - started
        return True

    def save(self, slot: int) -> memoryview:
        """The slot's state, in pages of its own: they go back to the system with it."""
        size = llama.llama_state_seq_get_size(self._context, slot)
        state = memoryview(mmap.mmap(-1, size))
        native = (ctypes.c_uint8 * size).from_buffer(state)
        if llama.llama_state_seq_get_data(self._context, native, size, slot) != size:
            raise StepFailed(f"the state of slot {slot} could not be saved")
        return state

    def load(self, slot: int, state: memoryview) -> bool:
        """False if llama.cpp refuses it, or has no room; the slot is empty then."""
        size = len(state)
        native = pointer_to(np.frombuffer(state, np.uint8), ctypes.c_uint8)
        return bool(llama.llama_state_seq_set_data(self._context, native, size, slot) == size)

    def _check_length(self, slot: int, parked: SavedState) -> None:
        num_tokens = llama.llama_memory_seq_pos_max(self._native, slot) + 1
        if num_tokens != len(parked.tokens):
            raise StepFailed(f"slot {slot} has {num_tokens} tokens, not {len(parked.tokens)}")
