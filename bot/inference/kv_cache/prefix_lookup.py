"""What is there already of a sequence: its thread's cells, its parked state, a shared prompt."""

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
"""Tokens that two questions must begin with alike for the second to share them."""


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """What saves a sequence its first ``num_tokens``.

    A resident thread or a shared prompt in ``source``; or ``saved``, with the shared prompt
    that it begins with in ``source``, if there is one.
    """

    num_tokens: int = 0
    source: CachedTokens | None = None
    saved: SavedState | None = None


def system_prompt(sequence: Sequence) -> list[int]:
    """Empty if it is too short to be worth sharing."""
    return sequence.tokens[: sequence.num_prefix] if sequence.num_prefix >= MIN_PREFIX else []


class PrefixLookup:
    """Who is next in the queue is asked for in every step, so the last answer is kept."""

    def __init__(
        self,
        cached_threads: ThreadIndex[CachedTokens],
        prefixes: SharedPrefixes,
        saved_states: SavedStates,
    ) -> None:
        self._cached_threads = cached_threads
        self._prefixes = prefixes
        self._saved_states = saved_states
        self._last: tuple[tuple[int, ...], PrefixMatch] | None = None

    def find(self, sequence: Sequence) -> PrefixMatch:
        """What saves the most."""
        homes = (self._cached_threads, self._prefixes, self._saved_states)
        key = (sequence.id, len(sequence.tokens), *(home.num_changes for home in homes))
        if self._last is None or self._last[0] != key:
            self._last = key, self._search(sequence)
        return self._last[1]

    def _search(self, sequence: Sequence) -> PrefixMatch:
        """One token at least is left to evaluate: without it there is nothing to sample from."""
        tokens = sequence.tokens
        asked = sequence.scope, sequence.thread, tokens, sequence.num_prefix
        prefix = self._shared(sequence)
        best = PrefixMatch(len(prefix.tokens), prefix) if prefix else PrefixMatch()
        if own := self._cached_threads.match(*asked):
            best = max(PrefixMatch(own[1], own[0]), best, key=lambda find: find.num_tokens)
        if saved := self._saved_states.find(*asked):
            best = self._better(best, *saved, prefix)
        if best.num_tokens < MIN_COMMON:
            return PrefixMatch()
        return replace(best, num_tokens=min(best.num_tokens, len(tokens) - 1))

    def _shared(self, sequence: Sequence) -> CachedTokens | None:
        if prompt := system_prompt(sequence):
            return self._prefixes.find(sequence.scope, prompt)
        return self._prefixes.find_longest(sequence.scope, sequence.tokens)

    def _better(
        self, best: PrefixMatch, saved: SavedState, num_tokens: int, prefix: CachedTokens | None
    ) -> PrefixMatch:
        """The parked state, where that is faster than evaluating what it has beyond ``best``."""
        gained = num_tokens - best.num_tokens
        if gained < MIN_PREFIX or not self._saved_states.costs.is_worth_restoring(saved, gained):
            return best
        return PrefixMatch(num_tokens, prefix, saved)
