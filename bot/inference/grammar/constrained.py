"""Samples tokens that a grammar allows: the others are ruled out before the sampler chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.inference.core.sequence import NO_TOKEN, Forced

Ids = npt.NDArray[np.int32]
Logits = npt.NDArray[np.float32]

_MAX_AHEAD = 128
"""Forced tokens that are taken at once: more would not be evaluated in one step."""


class Chain(Protocol):
    """A sampler chain: ``choose`` samples one of ``ids``, ``accept`` records the choice."""

    def choose(self, ids: Ids, logits: Logits) -> int: ...
    def accept(self, tokens: Sequence[int]) -> None: ...


class Matcher(Protocol):
    """What an ``LLMatcher`` does for a reply; see there."""

    def compute_bitmask(self) -> bytes: ...
    def compute_ff_tokens(self) -> list[int]: ...
    def consume_token(self, sampled_token: int) -> bool: ...
    def consume_tokens(self, sampled_tokens: list[int]) -> bool: ...
    def validate_tokens(self, tokens: list[int]) -> int: ...
    def is_error(self) -> bool: ...
    def is_stopped(self) -> bool: ...


class ConstrainedReply:
    """One reply whose tokens follow a grammar.

    ``goes_ahead``: a sample is followed by the tokens that must come after it, and the reply's
    end if only that is left. If not, each is a sample of its own. The work for each is bounded
    in steps of llguidance, and not in seconds: whether a reply can go on is the same on every
    machine. Where most tokens were allowed, as in free text, one is chosen of all, and the mask is
    only computed if that one is not allowed.
    """

    def __init__(
        self,
        matcher: Matcher,
        chain: Chain,
        is_end: Callable[[int], bool],
        *,
        goes_ahead: bool = True,
    ) -> None:
        """``matcher`` at its beginning; it belongs to this reply alone."""
        self._matcher = matcher
        self._chain = chain
        self._is_end = is_end
        self._goes_ahead = goes_ahead
        self._is_wide = False

    def resume(self, tokens: Sequence[int]) -> None:
        """Continue after ``tokens``, which were sampled under this grammar before."""
        self._matcher.consume_tokens(list(tokens))

    def sample(self, logits: Logits) -> list[int]:
        """The next token, or NO_TOKEN if there is none, and what follows it.

        A token that was the only one is ``Forced``.
        """
        forced = self._matcher.compute_ff_tokens()
        token = Forced(forced[0]) if forced else self._choose(logits)
        if token == NO_TOKEN:
            return [NO_TOKEN]
        self._chain.accept([token])
        if self._is_end(token):
            return [token]
        self._matcher.consume_token(token)
        return [token, *map(Forced, self._go_ahead())] if self._goes_ahead else [token]

    def _choose(self, logits: Logits) -> int:
        if self._is_wide:
            token = self._chain.choose(_every(logits.size), logits)
            if not self._is_end(token) and self._matcher.validate_tokens([token]):
                return token
        ids = allowed(self._matcher)
        self._is_wide = ids.size > logits.size / 2
        if ids.size <= 1:
            return Forced(ids[0]) if ids.size else NO_TOKEN
        return self._chain.choose(ids, logits[ids])

    def _go_ahead(self) -> list[int]:
        """The tokens up to the next choice, or with the reply's end."""
        tokens = ahead(self._matcher)
        if self._matcher.is_stopped():
            tokens += allowed(self._matcher)[:1].tolist()
        self._chain.accept(tokens)
        return tokens


@cache
def _every(num_tokens: int) -> Ids:
    return np.arange(num_tokens, dtype=np.int32)


def ahead(matcher: Matcher) -> list[int]:
    """Take the tokens that stay the same whatever is chosen after them."""
    taken: list[int] = []
    while tokens := matcher.compute_ff_tokens()[: _MAX_AHEAD - len(taken)]:
        matcher.consume_tokens(tokens)
        taken += tokens
    return taken


def allowed(matcher: Matcher) -> Ids:
    """The tokens that may come next, those that end a reply among them; none after an error."""
    if matcher.is_error():
        return np.empty(0, np.int32)
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    if matcher.is_error():
        return np.empty(0, np.int32)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little")).astype(np.int32)
