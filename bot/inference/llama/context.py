"""Context: evaluates batches into the KV cells of one lane or pool; edits, saves and loads them."""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.errors import ModelError
from bot.inference.core.lanes import Lane
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Chunk, Restore
from bot.inference.grammar.constrained import Logits
from bot.inference.llama import attention_states, stream_states
from bot.inference.llama.apart import apart
from bot.inference.llama.log import log
from bot.inference.llama.options import MAX_UBATCH, Attention, LlamaOptions
from bot.inference.llama.pointer import pointer_to

Output = tuple[Chunk, int]
"""A chunk, and the index of its last token in the batch; those of its draft follow."""


class Context:
    """A llama_context of the native ``model``.

    The slots of ``lane`` share one pool of ``num_cells`` where there is none, and else have a
    stream each.
    """

    def __init__(
        self,
        model: Any,
        options: LlamaOptions,
        *,
        num_slots: int,
        num_vocab: int,
        lane: Lane | None = None,
    ) -> None:
        """Raises ModelError."""
        self._model = model
        self._options = options
        self._num_slots = num_slots
        self._num_vocab = num_vocab
        self.lane = lane
        self.first_slot = lane.first if lane else 0
        self._batch = Batch(options.max_batch)
        self._open()

    def decode(self, chunks: Sequence[Chunk]) -> list[Output]:
        """Where to sample; valid until the next decode.

        Raises NoRoom or StepFailed.
        """
        outputs = self._batch.fill(self._in_order(chunks), self.first_slot)
        code = llama.llama_decode(self.native, self._batch.native)
        if code == 1:
            raise NoRoom
        if code:
            raise StepFailed(f"llama_decode returned {code}")
        return outputs

    def _in_order(self, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        """Streams are evaluated together only where their slots follow each other in the batch."""
        return sorted(chunks, key=attrgetter("slot")) if self.lane else chunks

    def logits(self, chunk: Chunk) -> Logits:
        """Evaluate the chunk; the logits after its last token."""
        ((_, index),) = self.decode([chunk])
        native = llama.llama_get_logits_ith(self.native, index)
        return np.ctypeslib.as_array(native, (self._num_vocab,)).copy()

    def scores(self, chunk: Chunk) -> Logits:
        """Evaluate the chunk; the logits after each of its tokens."""
        self._batch.fill([chunk], self.first_slot)
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
        self._batch.fill([Chunk(self.first_slot, 0, [0, 0], False)], self.first_slot)
        llama.llama_decode(self.native, self._batch.native)
        try:
            self.memory.remove(self.first_slot, 1)
        except StepFailed:
            return False
        finally:
            self.memory.remove(self.first_slot, 0)
        return True

    def close(self) -> None:
        llama.llama_free(self.native)

    def _open(self) -> None:
        log.last_error = ""
        self.native = llama.llama_init_from_model(self._model, self._params())
        if not self.native:
            raise ModelError(
                f"llama.cpp could not make a context of {self._num_cells:,} tokens "
                f"({log.last_error or 'no reason given'}): lower PARLEY_KV_TOKENS."
            )
        self.memory = Memory(self.native, self.lane)

    @property
    def _num_cells(self) -> int:
        return self.lane.num_cells if self.lane else self._options.num_cells

    def _params(self) -> Any:
        options = self._options
        if self.lane is not None and self.lane.is_flash:
            options = replace(options, attention=Attention.FLASH, max_ubatch=MAX_UBATCH)
        return context_params(
            options,
            num_cells=self._num_cells,
            num_sequences=self.lane.num_streams if self.lane else self._num_slots,
            is_unified=self.lane is None,
        )


def context_params(
    options: LlamaOptions, *, num_cells: int, num_sequences: int, is_unified: bool
) -> Any:
    """llama.cpp's parameters of a context; the options say nothing of its cells."""
    params = llama.llama_context_default_params()
    params.n_ctx = num_cells
    params.n_batch = options.max_batch
    params.n_ubatch = options.max_ubatch
    params.n_seq_max = num_sequences
    params.n_threads = params.n_threads_batch = options.num_threads
    params.kv_unified = is_unified
    if options.attention == Attention.PLAIN:
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

    def fill(self, chunks: Sequence[Chunk], first: int = 0) -> list[Output]:
        """Fill in the chunks; those in which logits are wanted, and from which token on.

        llama.cpp's sequence ids are the slots' distances from ``first``.
        """
        tokens: list[int] = []
        positions: list[int] = []
        slots: list[int] = []
        outputs: list[Output] = []
        wanted: list[int] = []
        for chunk in chunks:
            tokens += chunk.tokens
            if chunk.wants_token:
                outputs.append((chunk, len(tokens) - 1))
                wanted += range(len(tokens) - 1, len(tokens) + len(chunk.draft))
            tokens += chunk.draft
            positions += range(chunk.start, chunk.start + chunk.num_cells)
            slots += [chunk.slot - first] * chunk.num_cells
        end = len(tokens)
        self._tokens[:end], self._positions[:end], self._slots[:end] = tokens, positions, slots
        self._wants[:end] = 0
        self._wants[wanted] = 1
        self.native.n_tokens = end
        return outputs

    def want_all(self) -> None:
        """Want the logits after every token, not only after the last of a chunk."""
        self._wants[: self.native.n_tokens] = 1


class Memory:
    """The cells of one context. They are addressed by slot and token position.

    llama.cpp's sequence ids are the slots' distances from the first of their ``lane``.
    """

    def __init__(self, context: Any, lane: Lane | None = None) -> None:
        self._context = context
        self._lane = lane
        self._first = lane.first if lane else 0
        self._native = llama.llama_get_memory(context)

    def num_tokens(self, slot: int) -> int:
        return int(llama.llama_memory_seq_pos_max(self._native, slot - self._first)) + 1

    def remove(self, slot: int, start: int, end: int = -1) -> None:
        """Free the slot's cells from ``start`` up to ``end``, exclusive; raises StepFailed."""
        if not llama.llama_memory_seq_rm(self._native, slot - self._first, start, end):
            raise StepFailed(f"the cells of slot {slot} could not be removed from {start} on")

    def share(self, source: int, target: int, num_tokens: int) -> None:
        """Let both slots of one pool hold the same cells; nothing is copied."""
        slots = source - self._first, target - self._first
        llama.llama_memory_seq_cp(self._native, *slots, 0, num_tokens)

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
        """The slot's state in memory pages of its own, which are freed with it.

        The state of a stream suits every lane.
        """
        number = slot - self._first
        size = llama.llama_state_seq_get_size(self._context, number)
        state = memoryview(mmap.mmap(-1, size + stream_states.NUM_SPARE))
        native = (ctypes.c_uint8 * size).from_buffer(state)
        if llama.llama_state_seq_get_data(self._context, native, size, number) != size:
            raise StepFailed(f"the state of slot {slot} could not be saved")
        if self._lane is None:
            return state[:size]
        state = stream_states.cut(state, number, self._lane.num_streams)
        if self._lane.is_flash:
            attention_states.transpose(state)
        return state

    def save_first(self, slot: int, num_tokens: int) -> memoryview:
        """The state of the slot's first ``num_tokens``; the slot keeps all that it has."""
        whole = self.save(slot)
        if self.num_tokens(slot) <= num_tokens:
            return whole
        self.remove(slot, num_tokens)
        state = self.save(slot)
        if not self.load(slot, whole):
            raise StepFailed(f"the state of slot {slot} could not be put back")
        return state

    def load(self, slot: int, state: memoryview) -> bool:
        """False if llama.cpp refuses the state or has no room; the slot is empty then."""
        size, number = len(state), slot - self._first
        if self._lane is not None:
            if self._lane.is_flash:
                state = memoryview(bytearray(state))
                attention_states.transpose(state)
            size = stream_states.fit(state, self._lane.num_streams)
        native = pointer_to(np.frombuffer(state, np.uint8), ctypes.c_uint8)
        return bool(llama.llama_state_seq_set_data(self._context, native, size, number) == size)

    def _check_length(self, slot: int, saved: SavedState) -> None:
        if (num_tokens := self.num_tokens(slot)) != len(saved.tokens):
            raise StepFailed(f"slot {slot} has {num_tokens} tokens, not {len(saved.tokens)}")
