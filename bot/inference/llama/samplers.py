"""Samplers: what chooses the next token of every slot."""

from __future__ import annotations

from typing import Any

import llama_cpp as llama
import numpy as np

from bot.inference.core.sequence import Opening
from bot.inference.grammar.held import HeldReply
from bot.inference.llama.native_grammar import NativeGrammar
from bot.inference.llama.sampler_chain import SamplerChain
from bot.inference.llama.vocabulary import Vocabulary


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
