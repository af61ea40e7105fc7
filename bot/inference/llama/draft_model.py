"""DraftModel: a small model that says how replies may go on, for a large one to verify."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.errors import ModelError
from bot.inference.core.lanes import STREAM_QUANTUM, Lane, round_down, round_up
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.sequence import Chunk, DraftRequest
from bot.inference.gguf import memory_check
from bot.inference.llama.apart import apart
from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.context import Context, Output
from bot.inference.llama.draft_slots import DraftSlot, DraftSlots
from bot.inference.llama.files import kind_of, load_vocabulary, load_weights, read_facts
from bot.inference.llama.options import LlamaOptions
from bot.inference.llama.vocabulary import Vocabulary

_NUM_STREAMS = 4
"""At least, where each sequence has a stream: with more replies drafts hardly ever pay."""
_MAX_PADDING = 128
"""Tokens by which vocabularies may differ: the models of a family are padded to other sizes."""
_LEAST_PIECE, _MAX_PIECE = 64, 512
"""Tokens that one step reads to catch up; each piece should take as long as the others."""
_SHORT_SECONDS, _LONG_SECONDS = 0.02, 0.06


class DraftModel:
    """Its context keeps sequences of its own, whatever becomes of those of the large model.

    A sequence is followed by its tokens: what it has in common with the last request stays, and
    the rest is evaluated, in pieces, so that no step is delayed by a long prompt.
    """

    def __init__(
        self, path: Path, options: LlamaOptions, vocabulary: Vocabulary, *, in_streams: bool
    ) -> None:
        """``options`` and ``vocabulary`` are those of the large model. Raises ModelError."""
        self.path = path
        self.facts = read_facts(path)
        self._vocabulary = vocabulary
        window = options.window_of(self.facts)
        lane = _lane(options, window) if in_streams else None
        self._options = replace(options, num_cells=lane.num_cells) if lane else options
        self._check_fit()
        check_same_tokens(path, vocabulary.native)
        self._model = apart(lambda: load_weights(path, options.gpu_layers))
        self._num_tokens = self.facts.num_vocab
        num_slots = lane.num_streams if lane else options.max_running
        self._open_context = partial(
            Context,
            self._model,
            self._options,
            num_slots=num_slots,
            num_vocab=self._num_tokens,
            lane=lane,
        )
        self._context = self._open_context()
        length = min(window, lane.stream_cells) if lane else window
        self._sizes = num_slots, self._options.num_cells, length
        self._slots = DraftSlots(*self._sizes)
        self._piece = _LEAST_PIECE
        if not (kind_of(self._model).can_reuse and self._context.can_trim()):
            self.close()
            raise ModelError(
                f"{self.facts.name} cannot forget tokens that are not said: set "
                "PARLEY_DRAFT_MODEL to a model with full attention, or leave it unset."
            )

    @property
    def needed_bytes(self) -> int:
        return self._options.needed_bytes(self.facts)

    def _check_fit(self) -> None:
        if self._options.gpu_layers != 0 and supports_gpu():
            return
        memory_check.check_fit(
            self.facts,
            num_cells=self._options.num_cells,
            max_batch=self._options.max_batch,
            num_scores=self._options.num_scores(self.facts),
            available=memory_check.available_bytes(),
        )

    def answer(self, requests: Sequence[DraftRequest]) -> None:
        """Fill in the requests as far as the draft model has caught up. Raises StepFailed."""
        started = time.perf_counter()
        found = self._slots.assign([r for r in requests if max(r.tokens) < self._num_tokens])
        for slot in self._slots.evicted(found):
            self._trim(slot, 0)
        for slot, request in found:
            self._trim(slot, min(slot.num_common(request), len(request.tokens) - 1))
        by_slot = {slot.number: (slot, request) for slot, request in found}
        try:
            self._propose(self._catch_up(found), by_slot)
        except NoRoom as error:
            raise StepFailed("the draft model had no room") from error
        seconds = time.perf_counter() - started
        for request in requests:
            request.seconds = seconds / len(requests)

    def _trim(self, slot: DraftSlot, num_tokens: int) -> None:
        if num_tokens < len(slot.tokens):
            self._context.memory.remove(slot.number, num_tokens)
            del slot.tokens[num_tokens:]

    def _catch_up(self, found: Sequence[tuple[DraftSlot, DraftRequest]]) -> list[Output]:
        """Evaluate what is missing, at most a piece in all; those that lack least go first."""
        chunks, left = [], self._piece
        for slot, request in sorted(found, key=_num_missing):
            start = len(slot.tokens)
            piece = request.tokens[start : start + left]
            left -= len(piece)
            slot.tokens += piece
            request.num_caught_up, request.num_evaluated = len(piece), len(slot.tokens)
            if piece:
                is_whole = len(slot.tokens) == len(request.tokens)
                chunks.append(Chunk(slot.number, start, piece, is_whole))
        if not chunks:
            return []
        started = time.perf_counter()
        outputs = self._context.decode(chunks)
        if left == 0:
            llama.llama_synchronize(self._context.native)
            self._measure(time.perf_counter() - started)
        return outputs

    def _measure(self, seconds: float) -> None:
        """Of a whole piece."""
        if seconds < _SHORT_SECONDS:
            self._piece = min(_MAX_PIECE, 2 * self._piece)
        elif seconds > _LONG_SECONDS:
            self._piece = max(_LEAST_PIECE, self._piece // 2)

    def _propose(
        self, outputs: Sequence[Output], by_slot: dict[int, tuple[DraftSlot, DraftRequest]]
    ) -> None:
        """A token of each, then the next one of each, as many as are wanted."""
        while outputs:
            chunks = []
            for chunk, index in outputs:
                slot, request = by_slot[chunk.slot]
                token = self._favourite(index)
                request.draft.append(token)
                is_last = len(request.draft) >= request.num_tokens
                if not is_last and not self._vocabulary.is_end(token):
                    chunks.append(Chunk(slot.number, len(slot.tokens), [token], True))
                    slot.tokens.append(token)
            outputs = self._context.decode(chunks) if chunks else []

    def _favourite(self, index: int) -> int:
        logits = llama.llama_get_logits_ith(self._context.native, index)
        num_common = min(self._num_tokens, self._vocabulary.num_tokens)
        return int(np.ctypeslib.as_array(logits, (num_common,)).argmax())

    def reset(self) -> None:
        self._context.close()
        self._context = self._open_context()
        self._slots = DraftSlots(*self._sizes)

    def close(self) -> None:
        self._context.close()
        llama.llama_model_free(self._model)


def _num_missing(found: tuple[DraftSlot, DraftRequest]) -> int:
    slot, request = found
    return len(request.tokens) - len(slot.tokens)


def _lane(options: LlamaOptions, window: int) -> Lane:
    """Few long streams rather than many short ones."""
    longest = max(STREAM_QUANTUM, round_down(options.num_cells // _NUM_STREAMS))
    size = min(round_up(window), longest)
    return Lane(0, min(options.max_running, options.num_cells // size), size)


def check_pair(path: Path, large: Path) -> None:
    """``check_same_tokens`` of two files, without their weights. Raises ModelError."""
    model = load_vocabulary(large)
    try:
        check_same_tokens(path, llama.llama_model_get_vocab(model))
    finally:
        llama.llama_model_free(model)


def check_same_tokens(path: Path, others: Any) -> None:
    """Whether the draft model's vocabulary is that of the large one. Raises ModelError."""
    model = load_vocabulary(path)
    try:
        fault = _difference(llama.llama_model_get_vocab(model), others)
    finally:
        llama.llama_model_free(model)
    if fault:
        raise ModelError(
            f"{path.stem} has another vocabulary than the model that it should draft for "
            f"({fault}): set PARLEY_DRAFT_MODEL to a smaller model of the same family, or leave "
            "it unset."
        )


def _difference(native: Any, others: Any) -> str:
    sizes = llama.llama_vocab_n_tokens(native), llama.llama_vocab_n_tokens(others)
    if abs(sizes[0] - sizes[1]) > _MAX_PADDING:
        return f"{sizes[0]:,} tokens, not {sizes[1]:,}"
    text = llama.llama_vocab_get_text
    differs = (n for n in range(min(sizes)) if text(native, n) != text(others, n))
    return next((f"token {n} is another one" for n in differs), "")
