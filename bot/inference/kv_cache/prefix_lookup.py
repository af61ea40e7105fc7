"""Finds what is cached of a sequence: in its thread's cells, its saved state, a shared prefix."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Sequence
from bot.inference.kv_cache.cached_threads import (
    MIN_PREFIX,
    CachedTokens,
    SharedPrefixes,
    ThreadIndex,
)
from bot.inference.kv_cache.saved_states import SavedStates

MIN_COMMON = 16
"""The fewest tokens that two questions must have in common for the second to share them."""


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """A sequence's first ``num_tokens`` are cached.

    They are in ``source``, an idle thread or a shared prefix; or in the state ``saved``, and
    then ``source`` is the shared prefix with which the state begins, if there is one.
    """

    num_tokens: int = 0
    source: CachedTokens | None = None
    saved: SavedState | None = None


def system_prompt(sequence: Sequence) -> list[int]:
    """The tokens to share: the system prompt, or all; empty where they are too few."""
    num_tokens = sequence.num_prompt if sequence.shares_prompt else sequence.num_prefix
    return sequence.tokens[:num_tokens] if num_tokens >= MIN_PREFIX else []


class PrefixLookup:
    """Finds the cached tokens of a sequence: in its thread's cells, its saved state, a prefix.

    Matches are kept until something else is cached, since the first of the queue are looked up in
    every step. With ``reuse`` off nothing is ever found.
    """

    def __init__(
        self,
        cached_threads: ThreadIndex[CachedTokens],
        prefixes: SharedPrefixes,
        saved_states: SavedStates,
        *,
        reuse: bool,
    ) -> None:
        self._reuse = reuse
        self._cached_threads = cached_threads
        self._prefixes = prefixes
        self._saved_states = saved_states
        self._found: dict[tuple[int, int], PrefixMatch] = {}
        self._num_changes: tuple[int, ...] = ()

    def find(self, sequence: Sequence) -> PrefixMatch:
        """The match with the most tokens that is worth it."""
        if not self._reuse:
            return PrefixMatch()
        indexes = (self._cached_threads, self._prefixes, self._saved_states)
        num_changes = tuple(index.num_changes for index in indexes)
        if self._num_changes != num_changes:
            self._found.clear()
            self._num_changes = num_changes
        key = sequence.id, len(sequence.tokens)
        if key not in self._found:
            self._found[key] = self._search(sequence)
        return self._found[key]

    def _search(self, sequence: Sequence) -> PrefixMatch:
        """Leave at least one token to evaluate: without it there are no logits to sample from."""
        scope, tokens = sequence.scope, sequence.tokens
        wanted = scope, sequence.thread, tokens, sequence.num_prefix
        prompt = system_prompt(sequence)
        prefix = self._prefixes.find(scope, prompt) if prompt else None
        longest = self._prefixes.find_longest(scope, tokens)
        is_more = longest is not None and len(longest.tokens) > len(prompt)
        if is_more or (prefix is None and (sequence.shares_prompt or not prompt)):
            prefix = longest
        best = PrefixMatch(len(prefix.tokens), prefix) if prefix else PrefixMatch()
        if own := self._cached_threads.match(*wanted):
            best = max(PrefixMatch(own[1], own[0]), best, key=lambda match: match.num_tokens)
        if saved := self._saved_states.match(*wanted):
            best = self._better(best, *saved, prefix)
        if best.num_tokens < MIN_COMMON:
            return PrefixMatch()
        return replace(best, num_tokens=min(best.num_tokens, len(tokens) - 1))

    def _better(
        self, best: PrefixMatch, saved: SavedState, num_tokens: int, prefix: CachedTokens | None
    ) -> PrefixMatch:
        """The saved state, where restoring is faster than evaluating its tokens beyond ``best``."""
        gained = num_tokens - best.num_tokens
        if gained < MIN_PREFIX or not self._saved_states.costs.is_worth_restoring(saved, gained):
            return best
        return PrefixMatch(num_tokens, prefix, saved)
