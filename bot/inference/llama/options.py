"""LlamaOptions: the size of a model's context, its attention, and the devices that it uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.inference.gguf.memory_check import ModelFacts

MAX_UBATCH, SMALL_UBATCH = 512, 128
"""Tokens that llama.cpp evaluates at once; it splits larger batches."""

PASS_CELLS = 3_000
"""As measured with SmolLM2 on two cores; see ``LlamaOptions``."""


class Attention(StrEnum):
    """``FLASH``: llama.cpp's flash attention, as far as the model supports it.

    On CPUs it is slow for batches of few rows, so replies decode faster with ``PLAIN``. States
    saved with the one cannot be restored with the other.
    """

    FLASH = "flash"
    PLAIN = "plain"


class KVLayout(StrEnum):
    """``UNIFIED``: all sequences share one pool of cells, and each may take them all.

    ``STREAMS``: each sequence has a stream of cells of its own, of a fixed length, and its
    attention runs over no others.
    """

    UNIFIED = "unified"
    STREAMS = "streams"


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """``num_cells``: size of the KV pool. ``window``: tokens per sequence, 0 for the model's own.

    ``num_slots``: running, idle and shared sequences. ``num_threads``: CPU threads.
    ``gpu_layers`` -1: all layers that the build can offload. ``max_ubatch``: tokens that llama.cpp
    evaluates at once; it splits larger batches. ``pass_cells``: attention over so many cells
    costs as much as one more pass over the weights. ``flash_prefill``: a long prompt
    that is alone is evaluated with flash attention, where replies have plain attention.
    """

    num_cells: int = 16_384
    window: int = 0
    max_running: int = 16
    num_slots: int = 128
    num_threads: int = 2
    gpu_layers: int = -1
    attention: Attention = Attention.FLASH
    kv_layout: KVLayout = KVLayout.UNIFIED
    max_ubatch: int = MAX_UBATCH
    pass_cells: int = PASS_CELLS
    flash_prefill: bool = False

    @property
    def max_batch(self) -> int:
        """Tokens of one step: a full microbatch of prefill and a token of every reply."""
        return MAX_UBATCH + self.max_running

    def window_of(self, facts: ModelFacts) -> int:
        return min(self.window or facts.max_context, self.num_cells)

    def num_scores(self, facts: ModelFacts) -> int:
        """How many scores a head of plain attention computes at once; flash keeps none.

        Each lane keeps those of one stream. The streams of lanes have different lengths, in
        powers of two, so these add up to twice the longest one, or to all cells at most.
        """
        if self.attention == Attention.FLASH:
            return 0
        is_streams = self.kv_layout == KVLayout.STREAMS
        longest = 2 * self.window_of(facts) if is_streams else self.num_cells
        return self.max_ubatch * min(longest, self.num_cells)

    @property
    def num_copies(self) -> int:
        """When streams are arranged anew, all of them may move, as copies; so are shelves."""
        return int(self.kv_layout == KVLayout.STREAMS)

    def needed_bytes(self, facts: ModelFacts) -> int:
        """Bytes of memory that the loaded model takes at most."""
        sizes = self.num_cells, self.max_batch, self.max_running
        return facts.needed_bytes(*sizes, self.num_scores(facts), self.num_copies)
