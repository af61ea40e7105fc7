"""Context: evaluates tokens into the cells of one unified KV pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.errors import ModelError
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.sequence import Chunk
from bot.inference.grammar.held import Logits
from bot.inference.llama.apart import apart
from bot.inference.llama.batch import Batch
from bot.inference.llama.log import log
from bot.inference.llama.memory import Memory
from bot.inference.llama.options import MAX_UBATCH, LlamaOptions


class Context:
    """Of the model with the handle ``model``. ``native`` and ``memory`` are new after a reset."""

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
        """``(slot, index)`` of every token to sample, until the next decode.

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
        """Of the token after the chunk."""
        ((_, index),) = self.decode([chunk])
        native = llama.llama_get_logits_ith(self.native, index)
        return np.ctypeslib.as_array(native, (self._num_vocab,)).copy()

    def scores(self, chunk: Chunk) -> Logits:
        """Evaluate a chunk; the logits after each of its tokens."""
        self._batch.fill([chunk])
        self._batch.want_all()
        if code := llama.llama_decode(self.native, self._batch.native):
            raise StepFailed(f"llama_decode returned {code}")
        shape = len(chunk.tokens), self._num_vocab
        return np.ctypeslib.as_array(llama.llama_get_logits(self.native), shape).copy()

    def can_trim(self) -> bool:
        """Compressed caches cannot, though their models count as attention: try it once."""
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
        """Whatever state a failed step left is gone with the old context."""
        self.close()
        self._open()

    def close(self) -> None:
        llama.llama_free(self.native)

    def _open(self) -> None:
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
        params.n_ubatch = MAX_UBATCH
        params.n_seq_max = self._num_slots
        params.n_threads = params.n_threads_batch = self._options.num_threads
        params.kv_unified = True
        params.no_perf = True
        return params
