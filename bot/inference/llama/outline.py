"""LlamaOutline: what can be known of a model that is not loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import llama_cpp as llama

from bot.inference.gguf.memory_check import ModelFacts
from bot.inference.llama.files import facts_of, load_vocabulary
from bot.inference.llama.options import LlamaOptions
from bot.inference.llama.vocabulary import Vocabulary
from bot.types import ChatMessage


class LlamaOutline:
    """A model's file without its weights: enough to count tokens, and to know what it takes."""

    def __init__(self, path: Path, options: LlamaOptions) -> None:
        """Raises ModelError."""
        self._model = load_vocabulary(path)
        self.facts = facts_of(self._model, path)
        self.window = options.window_of(self.facts)
        self.needed_bytes = needed_bytes(self.facts, options)
        self._vocabulary = Vocabulary(self._model)

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        return self._vocabulary.encode(messages)

    def close(self) -> None:
        llama.llama_model_free(self._model)


def needed_bytes(facts: ModelFacts, options: LlamaOptions) -> int:
    return facts.needed_bytes(options.num_cells, options.max_batch, options.max_running)
