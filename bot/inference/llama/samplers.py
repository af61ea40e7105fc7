"""Samplers: what chooses the next token of every slot."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.inference.core.sequence import Opening
from bot.inference.grammar.beginnings import Ids
from bot.inference.grammar.held import HeldReply, Logits
from bot.inference.llama.candidates import Candidates
from bot.inference.llama.native_grammar import NativeGrammar
from bot.inference.llama.vocabulary import Vocabulary
from bot.types import Sampling

_PENALTY_WINDOW = 256
_DRY_BASE, _DRY_ALLOWED_LENGTH, _DRY_BREAKERS = 1.75, 2, (b"\n", b":", b'"', b"*")


class SamplerChain:
    """llama.cpp's samplers in its usual order; remembers what it sampled."""

    def __init__(self, vocabulary: Any, num_vocab: int, sampling: Sampling) -> None:
        params = llama.llama_sampler_chain_default_params()
        params.no_perf = True
        self.native = llama.llama_sampler_chain_init(params)
        self._add_penalties(vocabulary, num_vocab, sampling)
        if sampling.temperature <= 0:
            self._add(llama.llama_sampler_init_greedy())
        else:
            self._add_random(sampling)

    def accept(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            llama.llama_sampler_accept(self.native, token)

    def choose(self, ids: Ids, logits: Logits) -> int:
        """One of these tokens; it is not remembered yet."""
        candidates = Candidates(ids, logits)
        candidates.apply(self.native)
        return candidates.selected

    def close(self) -> None:
        llama.llama_sampler_free(self.native)

    def _add(self, sampler: Any) -> None:
        llama.llama_sampler_chain_add(self.native, sampler)

    def _add_penalties(self, vocabulary: Any, num_vocab: int, s: Sampling) -> None:
        last, repeat = _PENALTY_WINDOW, s.repeat_penalty
        frequency, presence = s.frequency_penalty, s.presence_penalty
        if repeat != 1 or frequency or presence:
            penalties = llama.llama_sampler_init_penalties
            self._add(penalties(num_vocab, last, repeat, frequency, presence))
        if s.dry_multiplier > 0:
            breakers = (ctypes.c_char_p * len(_DRY_BREAKERS))(*_DRY_BREAKERS)
            dry = (s.dry_multiplier, _DRY_BASE, _DRY_ALLOWED_LENGTH, last)
            self._add(llama.llama_sampler_init_dry(vocabulary, *dry, breakers, len(breakers)))

    def _add_random(self, s: Sampling) -> None:
        if s.top_k > 0:
            self._add(llama.llama_sampler_init_top_k(s.top_k))
        if s.top_p < 1:
            self._add(llama.llama_sampler_init_top_p(s.top_p, 1))
        if s.min_p > 0:
            self._add(llama.llama_sampler_init_min_p(s.min_p, 1))
        self._add(llama.llama_sampler_init_temp(s.temperature))
        seed = s.seed if s.seed is not None else random.getrandbits(32)
        self._add(llama.llama_sampler_init_dist(seed & 0xFFFFFFFF))


class Samplers:
    """By slot: a chain, and what holds the reply to its grammar if it has one.

    ``num_resampled``: tokens chosen a second time, since a grammar refused the first choice.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.chains: dict[int, SamplerChain] = {}
        self._held: dict[int, HeldReply] = {}
        self.num_resampled = 0

    def open(self, opening: Opening) -> None:
        self.close(opening.slot)
        vocabulary = self._vocabulary
        chain = SamplerChain(vocabulary.native, vocabulary.num_tokens, opening.sampling)
        chain.accept(opening.generated)
        self.chains[opening.slot] = chain
        if opening.grammar is not None:
            grammar = NativeGrammar(vocabulary.native, opening.grammar)
            held = HeldReply(grammar, chain, vocabulary)
            held.resume(opening.generated)
            self._held[opening.slot] = held

    def sample(self, context: Any, slot: int, index: int) -> int:
        """From the logits at ``index`` of the context's last decode."""
        held = self._held.get(slot)
        if held is not None:
            return self._sample_held(held, context, index)
        token: int = llama.llama_sampler_sample(self.chains[slot].native, context, index)
        return token

    def _sample_held(self, held: HeldReply, context: Any, index: int) -> int:
        logits = llama.llama_get_logits_ith(context, index)
        token = held.sample(np.ctypeslib.as_array(logits, (self._vocabulary.num_tokens,)))
        self.num_resampled += held.was_refused
        return token

    def close(self, slot: int) -> None:
        for owned in (self._held.pop(slot, None), self.chains.pop(slot, None)):
            if owned:
                owned.close()

    def close_all(self) -> None:
        for slot in list(self.chains):
            self.close(slot)
