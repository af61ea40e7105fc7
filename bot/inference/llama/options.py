"""LlamaOptions: how large a model's context is, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass

from bot.inference.fit import ModelFacts

MAX_PROMPT = 512
"""Tokens of prompts that one step may carry."""
_MAX_UBATCH, _MAX_SCORED = 512, 128
"""Tokens that llama.cpp evaluates at once, and where it scores every cell for each of them: a
batch of more is taken in pieces. 128 read as fast as any there, and need a quarter of the memory.
"""


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """``num_cells``: KV pool. ``window``: tokens per sequence, 0 for the model's own.

    ``num_slots``: running, idle and shared sequences. ``num_threads`` of the CPU.
    ``gpu_layers`` -1: all that the build can offload. ``flash_attention``: without it, attention
    scores every cell in use for each token, which takes memory, but on a CPU writes replies up to
    three times as fast in long threads.
    """

    num_cells: int = 16_384
    window: int = 0
    max_running: int = 16
    num_slots: int = 128
    num_threads: int = 2
    gpu_layers: int = -1
    flash_attention: bool = False

    @property
    def max_batch(self) -> int:
        """Tokens of one step: a full piece of prompts beside a token of every reply."""
        return MAX_PROMPT + self.max_running

    @property
    def max_ubatch(self) -> int:
        """Tokens that llama.cpp evaluates at once."""
        return _MAX_UBATCH if self.flash_attention else _MAX_SCORED

    @property
    def num_scored(self) -> int:
        """Tokens for each of which attention keeps a score of every cell."""
        return 0 if self.flash_attention else self.max_ubatch

    def window_of(self, facts: ModelFacts) -> int:
        return min(self.window or facts.max_context, self.num_cells)
