"""Context: evaluates batches into one unified KV pool, and edits, saves and loads its cells."""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Sequence
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.errors import ModelError
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Chunk, Restore
from bot.inference.grammar.constrained import Logits
from bot.inference.llama.apart import apart
from bot.inference.llama.log import log
from bot.inference.llama.options import Attention, LlamaOptions
from bot.inference.llama.pointer import pointer_to


class Context:
    """A llama_context of the native ``model``. A reset replaces ``native`` and ``memory``."""

    def __init__(
        self, model: Any, options: LlamaOptions, *, num_slots: int, num_vocab: int
    ) -> None:
        """Raises ModelError."""
        self._model = model
        self._options = options
        self._num_slots = num_slots
        self._num_vocab = num_vocab
        self._batch = Batch(options.max_batch)
        self._open()

    def decode(self, chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
        """``(slot, index)`` of every token to sample; valid until the next decode.

        Raises NoRoom or StepFailed.
        """
        outputs = self._batch.fill(chunks)
        code = llama.llama_decode(self.native, self._batch.native)
        if code == 1:
            raise NoRoom
        if code:
            raise StepFailed(f"llama_decode returned {code}")
        return outputs

    def logits(self, chunk: Chunk) -> Logits:
        """Evaluate the chunk; the logits after its last token."""
        ((_, index),) = self.decode([chunk])
        native = llama.llama_get_logits_ith(self.native, index)
        return np.ctypeslib.as_array(native, (self._num_vocab,)).copy()

    def scores(self, chunk: Chunk) -> Logits:
        """Evaluate the chunk; the logits after each of its tokens."""
        self._batch.fill([chunk])
        self._batch.want_all()
        if code := llama.llama_decode(self.native, self._batch.native):
            raise StepFailed(f"llama_decode returned {code}")
        shape = len(chunk.tokens), self._num_vocab
        return np.ctypeslib.as_array(llama.llama_get_logits(self.native), shape).copy()

    def can_trim(self) -> bool:
        """Whether cells can be trimmed, found by trying.

        Some attention models have compressed caches, which cannot.
        """
        return apart(self._try_to_trim)

    def _try_to_trim(self) -> bool:
        self._batch.fill([Chunk(0, 0, [0, 0], False)])
        llama.llama_decode(self.native, self._batch.native)
        try:
            self.memory.remove(0, 1)
        except StepFailed:
            return False
        finally:
            self.memory.remove(0, 0)
        return True

    def reset(self) -> None:
        """Replace the context, and with it the partial state that a failed step left."""
        self.close()
        self._open()

    def close(self) -> None:
        llama.llama_free(self.native)

    def _open(self) -> None:
        log.last_error = ""
        self.native = llama.llama_init_from_model(self._model, self._params())
        if not self.native:
            raise ModelError(
                f"llama.cpp could not make a context of {self._options.num_cells:,} tokens "
                f"({log.last_error or 'no reason given'}): lower PARLEY_KV_TOKENS."
            )
        self.memory = Memory(self.native)

    def _params(self) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = self._options.num_cells
        params.n_batch = self._options.max_batch
        params.n_ubatch = self._options.max_ubatch
        params.n_seq_max = self._num_slots
        params.n_threads = params.n_threads_batch = self._options.num_threads
        params.kv_unified = True
        if self._options.attention == Attention.PLAIN:
            params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.no_perf = True
        return params


class Batch:
    """A llama_batch over numpy arrays, with one slot per token.

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
        """Fill in the chunks; ``(slot, index)`` of every token whose logits are wanted."""
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
        """Want the logits after every token, not only after the last of a chunk."""
        self._wants[: self.native.n_tokens] = 1


class Memory:
    """The KV pool of one context. Cells are addressed by slot and token position."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._native = llama.llama_get_memory(context)

    def remove(self, slot: int, start: int, end: int = -1) -> None:
        """Free the slot's cells from ``start`` up to ``end``, exclusive; raises StepFailed."""
        if not llama.llama_memory_seq_rm(self._native, slot, start, end):
            raise StepFailed(f"the cells of slot {slot} could not be removed from {start} on")

    def share(self, source: int, target: int, num_tokens: int) -> None:
        """Let both slots hold the same cells; nothing is copied."""
        llama.llama_memory_seq_cp(self._native, source, target, 0, num_tokens)

    def offload(self, slot: int, saved: SavedState) -> None:
        started = time.perf_counter()
        self._check_length(slot, saved)
        saved.state = self.save(slot)
        saved.num_bytes = len(saved.state)
        saved.seconds = time.perf_counter() - started

    def restore(self, action: Restore) -> bool:
        """False if llama.cpp refused the state; the slot is empty then."""
        started, slot, saved = time.perf_counter(), action.slot, action.saved
        if saved.state is None or not self.load(slot, saved.state):
            return False
        self._check_length(slot, saved)
        self.remove(slot, action.num_tokens)
        if action.prefix is not None:
            self.remove(slot, 0, action.num_shared)
            self.share(action.prefix, slot, action.num_shared)
        saved.seconds = time.perf_counter() - started
        return True

    def save(self, slot: int) -> memoryview:
        """The slot's state in memory pages of its own, which are freed with it."""
        size = llama.llama_state_seq_get_size(self._context, slot)
        state = memoryview(mmap.mmap(-1, size))
        native = (ctypes.c_uint8 * size).from_buffer(state)
        if llama.llama_state_seq_get_data(self._context, native, size, slot) != size:
            raise StepFailed(f"the state of slot {slot} could not be saved")
        return state

    def load(self, slot: int, state: memoryview) -> bool:
        """False if llama.cpp refuses the state or has no room; the slot is empty then."""
        size = len(state)
        native = pointer_to(np.frombuffer(state, np.uint8), ctypes.c_uint8)
        return bool(llama.llama_state_seq_set_data(self._context, native, size, slot) == size)

    def _check_length(self, slot: int, saved: SavedState) -> None:
        num_tokens = llama.llama_memory_seq_pos_max(self._native, slot) + 1
        if num_tokens != len(saved.tokens):
            raise StepFailed(f"slot {slot} has {num_tokens} tokens, not {len(saved.tokens)}")
