"""The floor: ``llama_decode`` in a loop, with Parley's weights and sampler chains.

No plan, no queue, no text, no event loop; every sequence gets one token a step. Attention and
layout of the KV cells are what its options say.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import llama_cpp as llama

from bot.generation import Sampling
from bot.inference.llama.apart import apart
from bot.inference.llama.files import load_weights
from bot.inference.llama.options import Attention, KVLayout, LlamaOptions
from bot.inference.llama.samplers import SamplerChain
from bot.inference.llama.vocabulary import Vocabulary
from bot.inference.model_files import locate

HEAD_START = 4
"""Tokens that each sequence says before a slice is timed, so that both sides begin equally full."""


def layouts(options: LlamaOptions) -> list[LlamaOptions]:
    """With either attention, over one pool and over a stream a sequence."""
    return [
        replace(options, attention=attention, kv_layout=kv_layout)
        for attention in Attention
        for kv_layout in KVLayout
    ]


def layout_of(options: LlamaOptions) -> str:
    return f"{options.attention}, {options.kv_layout}"


@dataclass(frozen=True, slots=True)
class Slice:
    """Steps of which each gave every sequence one token."""

    num_sequences: int
    num_steps: int
    seconds: float

    @property
    def step_seconds(self) -> float:
        return self.seconds / self.num_steps

    @property
    def tokens_per_second(self) -> float:
        return self.num_sequences / self.step_seconds


class Weights:
    """The embedded model without a context, and states of the prompts that were read with it."""

    def __init__(self, options: LlamaOptions) -> None:
        path = locate.locate(locate.EMBEDDED)
        self.native = apart(partial(load_weights, path, options.gpu_layers))
        self.vocabulary = Vocabulary(self.native)
        self.states: dict[tuple[LlamaOptions, tuple[int, ...]], Any] = {}

    def close(self) -> None:
        llama.llama_model_free(self.native)


class BareLoop:
    """A context in which a prompt is read once, and from then on copied into each sequence."""

    def __init__(self, weights: Weights, options: LlamaOptions) -> None:
        self._weights, self._options = weights, options
        self._context = llama.llama_init_from_model(weights.native, _params(options))
        if not self._context:
            raise RuntimeError(f"no context with {layout_of(options)}")
        self._memory = llama.llama_get_memory(self._context)
        self._batch = llama.llama_batch_init(options.max_batch, 0, 1)
        self._chains: list[SamplerChain] = []
        self.last: list[int] = []
        self._end = 0

    def time(self, prompt: Sequence[int], samplings: Sequence[Sampling], seconds: float) -> Slice:
        """Every sequence begins with ``prompt``."""
        self.begin(prompt, samplings)
        for _ in range(HEAD_START):
            self.decode()
        num_steps, begun = 0, time.perf_counter()
        now = begun
        while now - begun < seconds:
            self.decode()
            num_steps, now = num_steps + 1, time.perf_counter()
        return Slice(len(samplings), num_steps, now - begun)

    def begin(self, prompt: Sequence[int], samplings: Sequence[Sampling]) -> None:
        """All but the last token of the prompt is copied; that is the first to be decoded."""
        state = self._state(prompt[:-1])
        llama.llama_memory_clear(self._memory, False)
        for number in range(len(samplings)):
            size = llama.llama_state_seq_set_data(self._context, state, len(state), number)
            if size != len(state):
                raise RuntimeError("a prompt could not be copied")
        self._end = len(prompt) - 1
        self.last = [prompt[-1]] * len(samplings)
        self._free_chains()
        vocabulary = self._weights.vocabulary
        self._chains = [SamplerChain(vocabulary, sampling) for sampling in samplings]

    def decode(self) -> None:
        """One token more for everybody."""
        last, context = self.last, self._context
        self._evaluate([(token, self._end, number) for number, token in enumerate(last)])
        self._end += 1
        for number, chain in enumerate(self._chains):
            last[number] = llama.llama_sampler_sample(chain.native, context, number)

    def _state(self, tokens: Sequence[int]) -> Any:
        """That of a sequence with these tokens; those of other layouts do not fit."""
        key = self._options, tuple(tokens)
        states = self._weights.states
        if key not in states:
            states[key] = self._read(tokens)
        return states[key]

    def _read(self, tokens: Sequence[int]) -> Any:
        llama.llama_memory_clear(self._memory, False)
        size = self._options.max_ubatch
        for start in range(0, len(tokens), size):
            chunk = tokens[start : start + size]
            self._evaluate([(token, start + n, 0) for n, token in enumerate(chunk)], wants=0)
        size = llama.llama_state_seq_get_size(self._context, 0)
        state = (ctypes.c_uint8 * size)()
        if llama.llama_state_seq_get_data(self._context, state, size, 0) != size:
            raise RuntimeError("a prompt could not be kept")
        return state

    def _evaluate(self, entries: Sequence[tuple[int, int, int]], wants: int = 1) -> None:
        """``entries``: token, position and sequence. ``wants`` 1: the logits after each."""
        batch = self._batch
        for number, (token, position, sequence) in enumerate(entries):
            batch.token[number], batch.pos[number] = token, position
            batch.n_seq_id[number], batch.logits[number] = 1, wants
            batch.seq_id[number][0] = sequence
        batch.n_tokens = len(entries)
        code = llama.llama_decode(self._context, batch)
        if code:
            raise RuntimeError(f"llama_decode returned {code}")

    def _free_chains(self) -> None:
        for chain in self._chains:
            chain.close()
        self._chains = []

    def close(self) -> None:
        self._free_chains()
        llama.llama_batch_free(self._batch)
        llama.llama_free(self._context)


def _params(options: LlamaOptions) -> Any:
    params = llama.llama_context_default_params()
    params.n_ctx = options.num_cells
    params.n_batch = options.max_batch
    params.n_ubatch = options.max_ubatch
    params.n_seq_max = options.max_running
    params.n_threads = params.n_threads_batch = options.num_threads
    params.kv_unified = options.kv_layout == KVLayout.UNIFIED
    if options.attention == Attention.PLAIN:
        params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.no_perf = True
    return params
