"""Samplers: choose the next token of every slot, under its grammar, by llama.cpp's samplers."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import llama_cpp as llama
import numpy as np

from bot.generation import Sampling
from bot.inference.core.sequence import NO_TOKEN, Chunk, Logprobs, Move, Opening
from bot.inference.grammar.constrained import ConstrainedReply, Ids, Logits
from bot.inference.llama import logprobs
from bot.inference.llama.context import Output
from bot.inference.llama.grammars import Grammars
from bot.inference.llama.pointer import pointer_to
from bot.inference.llama.vocabulary import Vocabulary

_MIN_SHARE = 2
"""Tokens that a thread chooses at least: to wake it costs as much as half of one."""
_ALL_TOKENS = 1 << 17
"""More tokens than a reply has; llama.cpp reserves memory for each."""
_LEAST_P = 1e-9
"""Of tokens less likely than that, typical_p and mirostat take the logarithm of 0."""
_MIROSTAT_TOKENS = 100
"""The likeliest tokens from which mirostat 1 estimates; llama.cpp's own number."""


class Candidates:
    """A llama_token_data_array over a numpy array: tokens of which samplers choose one."""

    _DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def __init__(self, ids: Ids, logits: Logits) -> None:
        self._data = np.zeros(len(ids), self._DATA)
        self._data["id"], self._data["logit"] = ids, logits
        self._array = llama.llama_token_data_array()
        self._array.data = pointer_to(self._data, llama.llama_token_data)
        self._array.size, self._array.selected = len(ids), -1

    def apply(self, sampler: Any) -> None:
        llama.llama_sampler_apply(sampler, ctypes.byref(self._array))

    @property
    def selected(self) -> int:
        return int(self._data["id"][self._array.selected])


class SamplerChain:
    """llama.cpp's samplers in its usual order; penalties need the accepted tokens."""

    def __init__(self, vocabulary: Vocabulary, sampling: Sampling) -> None:
        params = llama.llama_sampler_chain_default_params()
        params.no_perf = True
        self.native = llama.llama_sampler_chain_init(params)
        samplers = _biases(vocabulary, sampling) + _penalties(vocabulary, sampling)
        for sampler in samplers + _choice(vocabulary.num_tokens, sampling):
            llama.llama_sampler_chain_add(self.native, sampler)

    def accept(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            llama.llama_sampler_accept(self.native, token)

    def choose(self, ids: Ids, logits: Logits) -> int:
        """Choose one of these tokens without accepting it."""
        candidates = Candidates(ids, logits)
        candidates.apply(self.native)
        return candidates.selected

    def close(self) -> None:
        llama.llama_sampler_free(self.native)


def _biases(vocabulary: Vocabulary, s: Sampling) -> list[Any]:
    found: dict[int, float] = {}
    for token, bias in s.logit_bias:
        ids = [token] if isinstance(token, int) else vocabulary.tokenize(token)
        found |= dict.fromkeys(ids, bias)
    if not found:
        return []
    biases = (llama.llama_logit_bias * len(found))(
        *(llama.llama_logit_bias(*each) for each in found.items())
    )
    return [llama.llama_sampler_init_logit_bias(vocabulary.num_tokens, len(found), biases)]


def _penalties(vocabulary: Vocabulary, s: Sampling) -> list[Any]:
    repeat, frequency, presence = s.repeat_penalty, s.frequency_penalty, s.presence_penalty
    samplers = []
    if repeat != 1 or frequency or presence:
        num_last = _num_last(s.repeat_last_n)
        penalties = llama.llama_sampler_init_penalties
        samplers.append(penalties(vocabulary.num_tokens, num_last, repeat, frequency, presence))
    if s.dry_multiplier > 0:
        texts = [text.encode() for text in s.dry_sequence_breakers]
        breakers = (ctypes.c_char_p * len(texts))(*texts)
        dry = s.dry_multiplier, s.dry_base, s.dry_allowed_length, _num_last(s.dry_penalty_last_n)
        init = llama.llama_sampler_init_dry
        samplers.append(init(vocabulary.native, *dry, breakers, len(texts)))
    return samplers


def _num_last(asked: int) -> int:
    return _ALL_TOKENS if asked < 0 else min(asked, _ALL_TOKENS)


def _choice(num_tokens: int, s: Sampling) -> list[Any]:
    """The samplers that choose a token, in llama.cpp's usual order."""
    if s.is_greedy:
        return [llama.llama_sampler_init_greedy()]
    seed = s.seed if s.seed is not None else random.getrandbits(32)
    seed &= 0xFFFFFFFF
    temperature = llama.llama_sampler_init_temp(s.temperature)
    if s.mirostat == 0:
        return [*_truncation(s, seed), temperature, llama.llama_sampler_init_dist(seed)]
    target = seed, s.mirostat_tau, s.mirostat_eta
    if s.mirostat == 1:
        mirostat = llama.llama_sampler_init_mirostat(num_tokens, *target, _MIROSTAT_TOKENS)
    else:
        mirostat = llama.llama_sampler_init_mirostat_v2(*target)
    return [temperature, llama.llama_sampler_init_min_p(_LEAST_P, 1), mirostat]


def _truncation(s: Sampling, seed: int) -> list[Any]:
    samplers = []
    if s.top_k > 0:
        samplers.append(llama.llama_sampler_init_top_k(s.top_k))
    if s.typical_p < 1:
        samplers.append(llama.llama_sampler_init_min_p(_LEAST_P, 1))
        samplers.append(llama.llama_sampler_init_typical(s.typical_p, 1))
    if s.top_p < 1:
        samplers.append(llama.llama_sampler_init_top_p(s.top_p, 1))
    if s.min_p > 0:
        samplers.append(llama.llama_sampler_init_min_p(s.min_p, 1))
    if s.xtc_probability > 0:
        xtc = s.xtc_probability, s.xtc_threshold
        samplers.append(llama.llama_sampler_init_xtc(*xtc, 1, seed))
    return samplers


class Samplers:
    """A sampler chain for every slot, and a ``ConstrainedReply`` if its reply has a grammar."""

    def __init__(self, vocabulary: Vocabulary, grammars: Grammars, num_threads: int = 1) -> None:
        self._vocabulary = vocabulary
        self._grammars = grammars
        self._num_threads = num_threads
        self._helpers = ThreadPoolExecutor(max(1, num_threads - 1), "parley-sampler")
        self.chains: dict[int, SamplerChain] = {}
        self._logprobs: dict[int, Logprobs] = {}
        self._constrained: dict[int, ConstrainedReply] = {}

    def open(self, opening: Opening) -> None:
        self.close(opening.slot)
        vocabulary = self._vocabulary
        chain = SamplerChain(vocabulary, opening.sampling)
        chain.accept(opening.generated)
        self.chains[opening.slot] = chain
        if opening.logprobs is not None:
            self._logprobs[opening.slot] = opening.logprobs
        if opening.grammar is not None:
            matcher = self._grammars.follow(opening.grammar)
            constrained = ConstrainedReply(
                matcher, chain, vocabulary.is_end, goes_ahead=opening.logprobs is None
            )
            constrained.resume(opening.generated)
            self._constrained[opening.slot] = constrained

    def sample_all(self, context: Any, outputs: Sequence[Output]) -> dict[int, list[int]]:
        """Sample at every output; the threads share what no grammar holds.

        None of them reads the logits any more when this returns or raises.
        """
        if len(outputs) < 2 * _MIN_SHARE:
            return self._sample(context, outputs)
        free = [output for output in outputs if output[0].slot not in self._constrained]
        num_shares = max(1, min(self._num_threads, len(free) // _MIN_SHARE))
        if num_shares > 1:
            llama.llama_get_logits_ith(context, free[0][1])  # waits, and sorts what is read below
        shares = [free[number::num_shares] for number in range(num_shares)]
        helping = [self._helpers.submit(self._sample, context, share) for share in shares[1:]]
        held = [output for output in outputs if output[0].slot in self._constrained]
        try:
            sampled = self._sample(context, [*shares[0], *held])
        finally:
            wait(helping)
        for share in helping:
            sampled |= share.result()
        return sampled

    def _sample(self, context: Any, outputs: Sequence[Output]) -> dict[int, list[int]]:
        return {chunk.slot: self._verify(context, chunk, index) for chunk, index in outputs}

    def _verify(self, context: Any, chunk: Chunk, index: int) -> list[int]:
        """Sample after the last token, and go on as long as the draft says what was sampled.

        This is the rejection of speculative sampling for a proposer that leaves no doubt: its
        token is accepted with the probability that the samplers give it, and otherwise another
        one was sampled in its stead. So a reply is the same with drafts and without: a token
        takes one sample, whose chain and grammar have seen those before it.
        """
        said, draft = self.sample(context, chunk.slot, index), chunk.draft
        while len(said) <= len(draft) and said == draft[: len(said)]:
            if self._vocabulary.is_end(said[-1]):
                break
            said += self.sample(context, chunk.slot, index + len(said))
        return said

    def sample(self, context: Any, slot: int, index: int) -> list[int]:
        """Sample from the logits at ``index`` of the context's last decode.

        The token, and those that its grammar forces after it.
        """
        if constrained := self._constrained.get(slot):
            tokens = constrained.sample(self._logits(context, index))
        else:
            tokens = [llama.llama_sampler_sample(self.chains[slot].native, context, index)]
        if (wanted := self._logprobs.get(slot)) and tokens != [NO_TOKEN]:
            logprobs.note(self._logits(context, index), tokens[0], wanted)
        return tokens

    def _logits(self, context: Any, index: int) -> Logits:
        logits = llama.llama_get_logits_ith(context, index)
        return np.ctypeslib.as_array(logits, (self._vocabulary.num_tokens,))

    def move(self, moves: Sequence[Move]) -> None:
        """The chains and grammars of the sources belong to the targets, all at once."""
        by_slot: tuple[dict[int, Any], ...] = (self.chains, self._logprobs, self._constrained)
        for kept in by_slot:
            kept |= [(m.target, kept.pop(m.source)) for m in moves if m.source in kept]

    def close(self, slot: int) -> None:
        self._logprobs.pop(slot, None)
        self._constrained.pop(slot, None)
        if chain := self.chains.pop(slot, None):
            chain.close()

    def shutdown(self) -> None:
        self.close_all()
        self._helpers.shutdown()

    def close_all(self) -> None:
        for slot in list(self.chains):
            self.close(slot)
