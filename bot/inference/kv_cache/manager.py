"""Allocates slots and cells of the KV pool to sequences, and reuses what is cached of them.

A sequence resumes from its thread's cells, from its saved state or from a shared prefix. The
manager decides what is kept and what is evicted, and collects the model's part as actions in
their order. Running sequences are never evicted here (see Scheduler), and a shared prefix not
before its users.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import (
    Action,
    Opening,
    Restore,
    Sequence,
    Share,
    Trim,
    common_length,
)
from bot.inference.kv_cache.cached_threads import (
    MIN_PREFIX,
    CachedTokens,
    SharedPrefixes,
    ThreadIndex,
)
from bot.inference.kv_cache.pool import EvictionPolicy, KVPool
from bot.inference.kv_cache.saved_states import SavedStates

_MIN_COMMON = 16
"""The fewest tokens that two questions must have in common for the second to share them."""
_MAX_COMMON = 16
"""Unused prefixes, other than system prompts, that are kept."""


@dataclass(frozen=True, slots=True)
class PrefixMatch:
    """A sequence's first ``num_tokens`` are cached.

    They are in ``source``, an idle thread or a shared prefix; or in the state ``saved``, and
    then ``source`` is the shared prefix with which the state begins, if there is one.
    """

    num_tokens: int = 0
    source: CachedTokens | None = None
    saved: SavedState | None = None


def _system_prompt(sequence: Sequence) -> list[int]:
    """The tokens to share: the system prompt, or all; empty where they are too few."""
    num_tokens = sequence.num_prompt if sequence.shares_prompt else sequence.num_prefix
    return sequence.tokens[:num_tokens] if num_tokens >= MIN_PREFIX else []


class PrefixLookup:
    """Finds the cached tokens of a sequence: in its thread's cells, its saved state, a prefix.

    The last match is kept, since the head of the queue is looked up in every step. With
    ``reuse`` off nothing is ever found.
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
        self._last: tuple[tuple[int, ...], PrefixMatch] | None = None

    def find(self, sequence: Sequence) -> PrefixMatch:
        """The match with the most tokens that is worth it."""
        if not self._reuse:
            return PrefixMatch()
        indexes = (self._cached_threads, self._prefixes, self._saved_states)
        key = (sequence.id, len(sequence.tokens), *(index.num_changes for index in indexes))
        if self._last is None or self._last[0] != key:
            self._last = key, self._search(sequence)
        return self._last[1]

    def _search(self, sequence: Sequence) -> PrefixMatch:
        """Leave at least one token to evaluate: without it there are no logits to sample from."""
        scope, tokens = sequence.scope, sequence.tokens
        wanted = scope, sequence.thread, tokens, sequence.num_prefix
        prompt = _system_prompt(sequence)
        prefix = self._prefixes.find(scope, prompt) if prompt else None
        if prefix is None and (sequence.shares_prompt or not prompt):
            prefix = self._prefixes.find_longest(scope, tokens)
        best = PrefixMatch(len(prefix.tokens), prefix) if prefix else PrefixMatch()
        if own := self._cached_threads.match(*wanted):
            best = max(PrefixMatch(own[1], own[0]), best, key=lambda match: match.num_tokens)
        if saved := self._saved_states.match(*wanted):
            best = self._better(best, *saved, prefix)
        if best.num_tokens < _MIN_COMMON:
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


class KVCacheManager:
    """Owns the KV pool and all that is cached in it.

    ``reuse`` off: every sequence is evaluated from its first token, and nothing is cached.
    ``max_running`` of the slots are reserved for sequences; shared prefixes use the others.
    ``saved_states``: where evicted threads are offloaded to; it outlives the pool.
    """

    def __init__(
        self,
        num_cells: int,
        num_slots: int,
        *,
        max_running: int,
        reuse: bool = True,
        saved_states: SavedStates | None = None,
    ) -> None:
        self.pool = KVPool(num_cells, num_slots)
        self.cached_threads: ThreadIndex[CachedTokens] = ThreadIndex()
        self._prefixes = SharedPrefixes()
        self._max_prefixes = num_slots - max_running
        self._saved_states = saved_states if saved_states is not None else SavedStates()
        self._running: dict[int, Sequence] = {}
        self._actions: list[Action] = []
        self._reuse = reuse
        indexes = self.cached_threads, self._prefixes, self._saved_states
        self._lookup = PrefixLookup(*indexes, reuse=reuse)
        self.eviction = EvictionPolicy(self.pool, *indexes, self._actions)

    def take_actions(self) -> list[Action]:
        """The actions that the model must do before the next chunks, in this order."""
        self.eviction.evict_oldest(num_kept=0 if self._running else 1)
        actions = list(self._actions)
        self._actions.clear()
        return actions

    def must_wait(self, sequence: Sequence) -> bool:
        """Whether its prefix is being evaluated by another, or its saved state being read.

        A person's sequence does not wait for background work, which comes last: it evaluates
        the prefix itself.
        """
        if not self._reuse:
            return False
        if prompt := _system_prompt(sequence):
            evaluator = self._prefixes.pending_by(sequence.scope, prompt)
            if evaluator is not None and self._is_as_urgent(evaluator, sequence):
                return True
        elif any(
            twin.num_cached < common and self._is_as_urgent(twin.id, sequence)
            for twin, common in self._twins(sequence)
        ):
            return True
        saved = self._lookup.find(sequence).saved
        return saved is not None and not self._saved_states.is_ready(saved)

    def num_needed(self, sequence: Sequence) -> int:
        """Cells that the sequence takes, beyond those that it reuses."""
        found = self._lookup.find(sequence)
        if found.saved is None:
            return sequence.num_pending - found.num_tokens
        shared = len(found.source.tokens) if found.source else 0
        return max(sequence.num_pending - shared, len(found.saved.tokens))

    def num_to_evaluate(self, sequence: Sequence) -> int:
        return sequence.num_pending - self._lookup.find(sequence).num_tokens

    def could_free(self, num_cells: int, sequence: Sequence) -> bool:
        """Whether eviction can give the sequence a slot and ``num_cells`` free cells."""
        kept = self._lookup.find(sequence).source
        idle = [r for r in self.eviction.candidates() if r is not kept]
        has_slot = self.pool.has_slot or bool(idle) or kept in self.cached_threads
        room = self.pool.num_free + sum(self.pool.num_own(r.slot) for r in idle)
        return has_slot and room >= num_cells

    def make_room(self, num_cells: int, keep: CachedTokens | None = None) -> None:
        """Evict until ``num_cells`` are free, or nothing is left to evict."""
        while self.pool.num_free < num_cells and self.eviction.evict(keep):
            pass

    def allocate(self, sequence: Sequence, num_cells: int) -> None:
        """Give it a slot with its cached tokens, and make ``num_cells`` free if possible."""
        self._share_beginning(sequence)
        found = self._lookup.find(sequence)
        saved, source = found.saved, found.source
        self.make_room(num_cells, keep=source)
        sequence.num_shared = sequence.num_resumed = sequence.num_restored = 0
        if saved and saved.state and len(saved.tokens) <= self.pool.num_free:
            self._restore(sequence, saved, found.num_tokens, source)
        elif source is not None and source in self.cached_threads:
            self._resume(sequence, source, found.num_tokens)
        else:
            self._begin(sequence, source)
        if self._reuse and sequence.shares_prompt:
            self._begin_prefix(sequence)
        self._running[sequence.id] = sequence
        generated = sequence.tokens[sequence.num_prompt :]
        asked = sequence.sampling, generated, sequence.grammar, sequence.logprobs
        self._actions.append(Opening(sequence.held_slot, *asked))

    def promote(self, sequence: Sequence) -> None:
        """Share its system prompt with others, once all of it is evaluated."""
        prompt = _system_prompt(sequence)
        if not (prompt and self._prefixes.is_pending_by(sequence.id)):
            return
        if sequence.num_cached < len(prompt):
            return
        if self._make_place_for_prefix():
            self._make_prefix(sequence, prompt)
        else:
            self._prefixes.give_up(sequence.id)

    def release(self, sequence: Sequence) -> None:
        """Free its slot and its cells."""
        del self._running[sequence.id]
        self._prefixes.give_up(sequence.id)
        self.eviction.release(sequence.held_slot)
        sequence.slot = None

    def preempt(self, sequence: Sequence) -> None:
        """Free its slot until there is room again; its state is saved, if that is worth it."""
        if self._reuse and not sequence.is_forgotten:
            tokens = sequence.tokens[: sequence.num_cached]
            self.eviction.offload(sequence.held_slot, sequence.scope, sequence.thread, tokens)
        self.release(sequence)

    def retire(self, sequence: Sequence) -> None:
        """It is finished; its cells stay for the next turn of its thread."""
        too_short = sequence.num_cached < MIN_PREFIX
        if not self._reuse or too_short or sequence.is_forgotten:
            self.release(sequence)
            return
        del self._running[sequence.id]
        self._prefixes.give_up(sequence.id)
        slot, num_tokens = sequence.held_slot, sequence.num_cached
        self.pool.trim(slot, num_tokens)  # a step under way may have added more
        self._actions.append(Trim(slot, num_tokens))
        tokens = sequence.tokens[:num_tokens]
        older = self.cached_threads.add(CachedTokens(slot, sequence.scope, sequence.thread, tokens))
        if older is not None:
            self.eviction.release(older.slot)
        self._saved_states.forget(sequence.scope, sequence.thread)
        sequence.slot = None

    def _is_as_urgent(self, sequence_id: int, as_another: Sequence) -> bool:
        return as_another.is_background or not self._running[sequence_id].is_background

    def _twins(
        self, sequence: Sequence, but: Container[int] = ()
    ) -> Iterator[tuple[Sequence, int]]:
        """Running sequences with a common prefix, and its length; not those in the slots ``but``.

        Only those without a shared prefix and a system prompt to share.
        """
        for other in self._running.values():
            if other.scope != sequence.scope or other.held_slot in but:
                continue
            if _system_prompt(other) or self.pool.num_shared(other.held_slot):
                continue
            common = common_length(other.tokens[: other.num_prompt], sequence.tokens)
            if common >= _MIN_COMMON:
                yield other, common

    def _share_beginning(self, sequence: Sequence) -> None:
        """Where a running sequence has evaluated the same beginning, make it a shared prefix."""
        if not self._reuse or _system_prompt(sequence) or not self.pool.has_slot:
            return
        least = self._lookup.find(sequence).num_tokens + _MIN_COMMON
        restored = {action.slot for action in self._actions if isinstance(action, Restore)}
        twins = self._twins(sequence, but=restored)  # those may still be refused
        found = [(twin, common) for twin, common in twins if least <= common <= twin.num_cached]
        if found and self._make_place_for_prefix():
            twin, common = max(found, key=lambda pair: pair[1])
            common = min(common, len(sequence.tokens) - 1)
            self._make_prefix(twin, sequence.tokens[:common], is_common=True)
            unused = [p for p in self.eviction.unused_prefixes() if p.is_common]
            for prefix in unused[:-_MAX_COMMON]:
                self.eviction.drop(prefix)

    def _make_place_for_prefix(self) -> bool:
        """Make a slot free; False where that would take the slot of a sequence that may run."""
        slots = [other.held_slot for other in self._running.values()]
        used = {prefix for slot in slots for prefix in self.pool.prefixes_of(slot)}
        if len(used) >= self._max_prefixes:
            return False
        while len(self._prefixes) >= self._max_prefixes:
            self.eviction.evict_prefix()
        return self.pool.has_slot or self.eviction.evict()

    def _make_prefix(
        self, sequence: Sequence, tokens: list[int], *, is_common: bool = False
    ) -> None:
        """Make the cells of its first ``tokens`` a shared prefix, in a slot of its own."""
        slot = self.pool.take()
        self.pool.hand_over(sequence.held_slot, slot, len(tokens))
        self._actions.append(Share(sequence.held_slot, slot, len(tokens)))
        self._prefixes.add(CachedTokens(slot, sequence.scope, None, tokens, is_common=is_common))

    def _resume(self, sequence: Sequence, cached: CachedTokens, num_tokens: int) -> None:
        """Take over the slot of its idle thread, with the first ``num_tokens``."""
        self.cached_threads.remove(cached)
        sequence.slot = cached.slot
        sequence.num_shared = min(self.pool.num_shared(cached.slot), num_tokens)
        sequence.num_resumed = num_tokens - sequence.num_shared
        sequence.num_cached = num_tokens
        self.pool.trim(cached.slot, num_tokens)
        self._actions.append(Trim(cached.slot, num_tokens))

    def _restore(
        self, sequence: Sequence, saved: SavedState, num_tokens: int, prefix: CachedTokens | None
    ) -> None:
        """Restore the whole state, then free the cells that the shared prefix has already."""
        self._saved_states.remove(saved)
        slot = self._take_slot(sequence, prefix)
        self.pool.grow(slot, len(saved.tokens))
        num_shared = len(prefix.tokens) if prefix else 0
        if prefix is not None:
            self.pool.share_again(prefix.slot, slot, num_shared)
        self.pool.trim(slot, num_tokens)
        sequence.num_shared, sequence.num_restored = num_shared, num_tokens - num_shared
        sequence.num_cached = num_tokens
        source = prefix.slot if prefix else None
        self._actions.append(Restore(slot, saved, num_tokens, source, num_shared))

    def _begin(self, sequence: Sequence, prefix: CachedTokens | None) -> None:
        """Begin with a shared prefix, or with no token."""
        self._saved_states.forget(sequence.scope, sequence.thread)
        slot = self._take_slot(sequence, prefix)
        sequence.num_cached = 0
        if prefix is not None:
            num_tokens = min(len(prefix.tokens), len(sequence.tokens) - 1)
            sequence.num_shared = sequence.num_cached = num_tokens
            self.pool.share(prefix.slot, slot, num_tokens)
            self._actions.append(Share(prefix.slot, slot, num_tokens))

    def _take_slot(self, sequence: Sequence, prefix: CachedTokens | None) -> int:
        """An empty slot for the sequence; the cells that its thread left behind are dropped.

        Without a shared ``prefix`` the sequence will share its system prompt (see ``promote``).
        """
        cached = self.cached_threads.named(sequence.scope, sequence.thread)
        if cached is not None:
            self.eviction.drop(cached)
        if not self.pool.has_slot:
            self.eviction.evict(keep=prefix)
        sequence.slot = self.pool.take()
        if self._reuse and prefix is None:
            self._begin_prefix(sequence)
        return sequence.slot

    def _begin_prefix(self, sequence: Sequence) -> None:
        """It evaluates what others will share, unless that is there."""
        prompt = _system_prompt(sequence)
        if prompt and self._prefixes.find(sequence.scope, prompt) is None:
            self._prefixes.begin(sequence.scope, prompt, sequence.id)
