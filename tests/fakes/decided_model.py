"""The real model, of which every token is computed, and not one depends on the processor."""

from __future__ import annotations

from pathlib import Path

from bot.inference.core.sequence import Opening, Step
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions


class DecidedModel(LlamaModel):
    """Whatever it is asked, it says ``words`` again and again, up to the length limit."""

    def __init__(self, path: Path, options: LlamaOptions, words: str) -> None:
        super().__init__(path, options)
        self._words = self.vocabulary.tokenize(words)
        self._num_said: dict[int, int] = {}

    def run(self, step: Step) -> dict[int, list[int]]:
        for action in step.actions:
            if isinstance(action, Opening):
                self._num_said[action.slot] = len(action.generated)
        return {slot: [self._next(slot)] for slot in super().run(step)}

    def _next(self, slot: int) -> int:
        num_said = self._num_said[slot]
        self._num_said[slot] = num_said + 1
        return self._words[num_said % len(self._words)]
