"""Samples tokens that a grammar allows: the others are ruled out before the sampler chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher

from bot.inference.core.sequence import NO_TOKEN, Forced

Ids = npt.NDArray[np.int32]
Logits = npt.NDArray[np.float32]


class Chain(Protocol):
    """A sampler chain: ``choose`` samples one of ``ids``, ``accept`` records the choice."""

    def choose(self, ids: Ids, logits: Logits) -> int: ...
    def accept(self, tokens: Sequence[int]) -> None: ...


class ConstrainedReply:
    """One reply whose tokens follow a grammar.

    The work for each token is bounded in steps of llguidance, and not in seconds: whether a
    reply can go on is the same on every machine.
    """

    def __init__(self, matcher: LLMatcher, chain: Chain, is_end: Callable[[int], bool]) -> None:
        """``matcher`` at its beginning; it belongs to this reply alone."""
        self._matcher = matcher
        self._chain = chain
        self._is_end = is_end

    def resume(self, tokens: Sequence[int]) -> None:
        """Continue after ``tokens``, which were sampled under this grammar before."""
        self._matcher.consume_tokens(list(tokens))

    def sample(self, logits: Logits) -> int:
        """The next token, ``Forced`` if it was the only one, or NO_TOKEN if there is none."""
        ids = allowed(self._matcher)
        if not ids.size:
            return NO_TOKEN
        if ids.size == 1:
            token: int = Forced(ids[0])
        else:
            token = self._chain.choose(ids, logits[ids])
        if not self._is_end(token):
            self._matcher.consume_token(token)
        self._chain.accept([token])
        return token


def allowed(matcher: LLMatcher) -> Ids:
    """The tokens that may come next, those that end a reply among them; none after an error."""
    if matcher.is_error():
        return np.empty(0, np.int32)
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    if matcher.is_error():
        return np.empty(0, np.int32)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little")).astype(np.int32)
