"""Grammars over the vocabulary of one model, compiled once for all replies that follow them."""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from functools import cached_property

import llama_cpp as llama
from llguidance import LLMatcher, LLTokenizer

from bot.inference.core.calls import AnyGrammar, CallGrammar
from bot.inference.grammar.calls import CallMatcher
from bot.inference.grammar.constrained import Matcher, allowed
from bot.inference.grammar.formats import LIMITS
from bot.inference.llama.vocabulary import Vocabulary

_MAX_KEPT, _MAX_CHARACTERS = 256, 4_000_000
"""Grammars that are kept; each takes some thirty bytes for a character, when it is compiled."""


class Grammars:
    """Any thread may use it: one compiles what is asked for, another samples."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()
        self._lock = threading.Lock()

    def follow(self, grammar: AnyGrammar) -> Matcher:
        """As ``matcher``, also for a reply that calls tools."""
        if isinstance(grammar, CallGrammar):
            return CallMatcher(grammar, self.matcher)
        return self.matcher(grammar)

    def matcher(self, grammar: str) -> LLMatcher:
        """A matcher at the beginning of the grammar; raises ValueError if there is none."""
        with self._lock:
            known = self._compiled.get(grammar)
            if known is not None:
                self._compiled.move_to_end(grammar)
                return known.deep_copy()
        compiled = self._compile(grammar)
        with self._lock:
            self._compiled[grammar] = compiled
            while len(self._compiled) > _MAX_KEPT or self._is_too_long:
                self._compiled.popitem(last=False)
            return compiled.deep_copy()

    @property
    def _is_too_long(self) -> bool:
        return len(self._compiled) > 1 and sum(map(len, self._compiled)) > _MAX_CHARACTERS

    def _compile(self, grammar: str) -> LLMatcher:
        """With the first mask computed, which takes the longest."""
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=LIMITS)
        if not allowed(matcher).size:
            raise ValueError(matcher.get_error())
        return matcher

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        """Building it takes most of a second; the first grammar does it, and not a step."""
        vocabulary = self._vocabulary
        ends = [token for token in range(vocabulary.num_tokens) if vocabulary.is_end(token)]
        tokenize = ctypes.cast(llama.llama_cpp._lib.llama_tokenize, ctypes.c_void_p)
        tokenizer: LLTokenizer = LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]
            tokens=[vocabulary.written(token) for token in range(vocabulary.num_tokens)],
            vocab_ptr=vocabulary.native,
            tokenize_fptr=tokenize.value,
            eos_token=ends,
        )
        return tokenizer
