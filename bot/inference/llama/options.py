"""LlamaOptions: how large a model's context is, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass

from bot.inference.gguf.memory_check import ModelFacts

MAX_UBATCH = 512
"""Tokens that llama.cpp evaluates at once; a batch of more is taken in pieces."""


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """``num_cells``: KV pool. ``window``: tokens per sequence, 0 for the model's own.

    ``num_slots``: running, idle and shared sequences. ``num_threads`` of the CPU.
    ``gpu_layers`` -1: all that the build can offload.
    """

    num_cells: int = 16_384
    window: int = 0
    max_running: int = 16
    num_slots: int = 128
    num_threads: int = 2
    gpu_layers: int = -1

    @property
    def max_batch(self) -> int:
        """Tokens of one step: a full piece of prompts beside a token of every reply."""
        return MAX_UBATCH + self.max_running

    def window_of(self, facts: ModelFacts) -> int:
        return min(self.window or facts.max_context, self.num_cells)
