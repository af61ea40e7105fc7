"""Seats sequences in the KV pool on what is there already: their thread, a shared prompt.

Decides whose cells stay and whose go, and says so to the model as actions in their order.
Running sequences always come first; idle threads go before system prompts, least recently
used first, and a shared prompt never before its users.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

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
from bot.inference.kv_cache.eviction import EvictionPolicy
from bot.inference.kv_cache.pool import KVPool
from bot.inference.kv_cache.prefix_lookup import (
    MIN_COMMON,
    PrefixLookup,
    PrefixMatch,
    system_prompt,
)
from bot.inference.kv_cache.saved_states import SavedStates


class RunningSequences:
    """Running sequences by id."""

    def __init__(self, pool: KVPool) -> None:
        self._pool = pool
        self._by_id: dict[int, Sequence] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, sequence: Sequence) -> None:
        self._by_id[sequence.id] = sequence

    def remove(self, sequence: Sequence) -> None:
        del self._by_id[sequence.id]

    @property
    def num_prefixes(self) -> int:
        """Shared prefixes that they use."""
        used = {self._pool.prefix_of(sequence.held_slot) for sequence in self._by_id.values()}
        return len(used - {None})

    def is_as_urgent(self, sequence_id: int, as_another: Sequence) -> bool:
        return as_another.is_background or not self._by_id[sequence_id].is_background

    def twins(self, sequence: Sequence, but: Container[int] = ()) -> Iterator[tuple[Sequence, int]]:
        """Who shares nothing and begins alike, with the number of tokens; not the slots ``but``."""
        for other in self._by_id.values():
            if (
                other.scope == sequence.scope
                and other.held_slot not in but
                and self._is_alone(other)
            ):
                common = common_length(other.tokens[: other.num_prompt], sequence.tokens)
                if common >= MIN_COMMON:
                    yield other, common

    def _is_alone(self, sequence: Sequence) -> bool:
        return not system_prompt(sequence) and not self._pool.num_shared(sequence.held_slot)


_MAX_COMMON = 16
"""Beginnings that were once alike, kept while nobody uses them."""


class KVCacheManager:
    """``reuse`` off: every sequence is evaluated from its first token, nothing stays.

    Of the slots ``max_running`` are for sequences: no more prefixes are shared than leave them.
    ``saved_states`` is where threads go that leave the pool; it outlives the pool.
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
        self._pool = KVPool(num_cells, num_slots)
        self._max_prefixes = num_slots - max_running
        self._cached_threads: ThreadIndex[CachedTokens] = ThreadIndex()
        self._prefixes = SharedPrefixes()
        self._saved_states = saved_states if saved_states is not None else SavedStates()
        self._prefix_lookup = PrefixLookup(self._cached_threads, self._prefixes, self._saved_states)
        self._running = RunningSequences(self._pool)
        self._actions: list[Action] = []
        self._reuse = reuse
        homes = self._cached_threads, self._prefixes, self._saved_states
        self.idle = EvictionPolicy(self._pool, *homes, self._actions)

    @property
    def num_used(self) -> int:
        return self._pool.num_cells - self._pool.num_free

    @property
    def num_free(self) -> int:
        return self._pool.num_free

    @property
    def num_cached_threads(self) -> int:
        return len(self._cached_threads)

    def take_actions(self) -> list[Action]:
        """What the model must do before the next chunks, in this order."""
        self.idle.let_oldest_go(num_kept=0 if self._running else 1)
        actions = list(self._actions)
        self._actions.clear()
        return actions

    def grow(self, sequence: Sequence, num_tokens: int) -> None:
        self._pool.grow(sequence.held_slot, num_tokens)

    def must_wait(self, sequence: Sequence) -> bool:
        """Whether somebody evaluates just now what it begins with, or its state is being read.

        People do not wait for background work, which comes last: they do it themselves.
        """
        if not self._reuse:
            return False
        if prompt := self._system_prompt(sequence):
            evaluator = self._prefixes.pending_by(sequence.scope, prompt)
            if evaluator is not None and self._running.is_as_urgent(evaluator, sequence):
                return True
        elif any(
            twin.num_cached < common and self._running.is_as_urgent(twin.id, sequence)
            for twin, common in self._running.twins(sequence)
        ):
            return True
        saved = self._find(sequence).saved
        return saved is not None and not self._saved_states.is_ready(saved)

    def num_needed(self, sequence: Sequence) -> int:
        """Cells that the sequence takes beyond what it finds in the pool."""
        found = self._find(sequence)
        if found.saved is None:
            return sequence.num_pending - found.num_tokens
        shared = len(found.source.tokens) if found.source else 0
        return max(sequence.num_pending - shared, len(found.saved.tokens))

    def num_to_evaluate(self, sequence: Sequence) -> int:
        return sequence.num_pending - self._find(sequence).num_tokens

    def could_free(self, num_cells: int, sequence: Sequence) -> bool:
        """Whether there is a slot for the sequence, and room, once the idle ones have gone."""
        kept = self._find(sequence).source
        idle = [r for r in self.idle.all() if r is not kept]
        has_slot = self._pool.has_slot or bool(idle) or kept in self._cached_threads
        room = self._pool.num_free + sum(self._pool.num_own(r.slot) for r in idle)
        return has_slot and room >= num_cells

    def make_room(self, num_cells: int, keep: CachedTokens | None = None) -> None:
        """Let idle cells go until that many are free, or none are left."""
        while self._pool.num_free < num_cells and self.idle.evict(keep):
            pass

    def allocate(self, sequence: Sequence, num_cells: int) -> None:
        """Give it a slot with what can be found of it, and ``num_cells`` free if possible."""
        self._share_beginning(sequence)
        found = self._find(sequence)
        saved, source = found.saved, found.source
        self.make_room(num_cells, keep=source)
        sequence.num_shared = sequence.num_resumed = sequence.num_restored = 0
        if saved and saved.state and len(saved.tokens) <= self._pool.num_free:
            self._restore(sequence, saved, found.num_tokens, source)
        elif source is not None and source in self._cached_threads:
            self._resume(sequence, source, found.num_tokens)
        else:
            self._begin(sequence, source)
        self._running.add(sequence)
        generated = sequence.tokens[sequence.num_prompt :]
        self._actions.append(
            Opening(sequence.held_slot, sequence.sampling, generated, sequence.grammar)
        )

    def promote(self, sequence: Sequence) -> None:
        """Its system prompt is evaluated: from now on others share it."""
        prompt = self._system_prompt(sequence)
        if not (prompt and self._prefixes.is_pending_by(sequence.id)):
            return
        if sequence.num_cached < len(prompt):
            return
        if self._make_place_for_prefix():
            self._hand_over(sequence, prompt)
        else:
            self._prefixes.give_up(sequence.id)

    def leave(self, sequence: Sequence) -> None:
        """It gives up its slot; its cells are gone."""
        self._running.remove(sequence)
        self._prefixes.give_up(sequence.id)
        self.idle.release(sequence.held_slot)
        sequence.slot = None

    def preempt(self, sequence: Sequence) -> None:
        """It gives up its slot until there is room again; its state is parked, if worth it."""
        if self._reuse and not sequence.is_forgotten:
            tokens = sequence.tokens[: sequence.num_cached]
            self.idle.offload(sequence.held_slot, sequence.scope, sequence.thread, tokens)
        self.leave(sequence)

    def retire(self, sequence: Sequence) -> None:
        """It is done; its cells stay for when its thread speaks again."""
        too_short = sequence.num_cached < MIN_PREFIX
        if not self._reuse or too_short or sequence.is_forgotten:
            self.leave(sequence)
            return
        self._running.remove(sequence)
        self._prefixes.give_up(sequence.id)
        slot, num_tokens = sequence.held_slot, sequence.num_cached
        self._pool.trim(slot, num_tokens)  # a step under way may have added more
        self._actions.append(Trim(slot, num_tokens))
        tokens = sequence.tokens[:num_tokens]
        older = self._cached_threads.add(
            CachedTokens(slot, sequence.scope, sequence.thread, tokens)
        )
        if older is not None:
            self.idle.release(older.slot)
        self._saved_states.forget(sequence.scope, sequence.thread)
        sequence.slot = None

    def _find(self, sequence: Sequence) -> PrefixMatch:
        return self._prefix_lookup.find(sequence) if self._reuse else PrefixMatch()

    def _share_beginning(self, sequence: Sequence) -> None:
        """What the sequence begins with is evaluated in another's seat: give it to both."""
        if not self._reuse or self._system_prompt(sequence) or not self._pool.has_slot:
            return
        least = self._find(sequence).num_tokens + MIN_COMMON
        restored = {action.slot for action in self._actions if isinstance(action, Restore)}
        twins = self._running.twins(sequence, but=restored)  # those may still be refused
        found = [(twin, common) for twin, common in twins if least <= common <= twin.num_cached]
        if found and self._make_place_for_prefix():
            twin, common = max(found, key=lambda pair: pair[1])
            common = min(common, len(sequence.tokens) - 1)
            self._hand_over(twin, sequence.tokens[:common], is_common=True)
            self._let_old_beginnings_go()

    def _make_place_for_prefix(self) -> bool:
        """False where it would take the slot of somebody who may run."""
        if self._running.num_prefixes >= self._max_prefixes:
            return False
        while len(self._prefixes) >= self._max_prefixes:
            self.idle.evict_prefix()
        return self._pool.has_slot or self.idle.evict()

    def _hand_over(self, sequence: Sequence, tokens: list[int], *, is_common: bool = False) -> None:
        """Its first cells become a shared prefix, in a slot of their own."""
        slot = self._pool.take()
        self._pool.hand_over(sequence.held_slot, slot, len(tokens))
        self._actions.append(Share(sequence.held_slot, slot, len(tokens)))
        self._prefixes.add(CachedTokens(slot, sequence.scope, None, tokens, is_common=is_common))

    def _let_old_beginnings_go(self) -> None:
        unused = [p for p in self._prefixes if p.is_common and not self._pool.num_users(p.slot)]
        for prefix in unused[:-_MAX_COMMON]:
            self.idle.drop(prefix)

    def _resume(self, sequence: Sequence, cached: CachedTokens, num_tokens: int) -> None:
        self._cached_threads.remove(cached)
        sequence.slot = cached.slot
        sequence.num_shared = min(self._pool.num_shared(cached.slot), num_tokens)
        sequence.num_resumed = num_tokens - sequence.num_shared
        sequence.num_cached = num_tokens
        self._pool.trim(cached.slot, num_tokens)
        self._actions.append(Trim(cached.slot, num_tokens))

    def _restore(
        self, sequence: Sequence, saved: SavedState, num_tokens: int, prefix: CachedTokens | None
    ) -> None:
        """The whole state for a moment; then the cells of the shared prompt are given back."""
        self._saved_states.remove(saved)
        self._release_older(sequence)
        slot = self._take_slot(sequence, prefix)
        self._pool.grow(slot, len(saved.tokens))
        num_shared = len(prefix.tokens) if prefix else 0
        if prefix is not None:
            self._pool.share_again(prefix.slot, slot, num_shared)
        self._pool.trim(slot, num_tokens)
        sequence.num_shared, sequence.num_restored = num_shared, num_tokens - num_shared
        sequence.num_cached = num_tokens
        source = prefix.slot if prefix else None
        self._actions.append(Restore(slot, saved, num_tokens, source, num_shared))
        self._expect_prompt(sequence, prefix)

    def _begin(self, sequence: Sequence, prefix: CachedTokens | None) -> None:
        """With a shared prompt, or with nothing."""
        self._release_older(sequence)
        self._saved_states.forget(sequence.scope, sequence.thread)
        slot = self._take_slot(sequence, prefix)
        sequence.num_cached = 0
        if prefix is not None:
            num_tokens = min(len(prefix.tokens), len(sequence.tokens) - 1)
            sequence.num_shared = sequence.num_cached = num_tokens
            self._pool.share(prefix.slot, slot, num_tokens)
            self._actions.append(Share(prefix.slot, slot, num_tokens))
        self._expect_prompt(sequence, prefix)

    def _take_slot(self, sequence: Sequence, keep: CachedTokens | None) -> int:
        if not self._pool.has_slot:
            self.idle.evict(keep)
        sequence.slot = self._pool.take()
        return sequence.slot

    def _expect_prompt(self, sequence: Sequence, prefix: CachedTokens | None) -> None:
        """Without a shared one, it will share its system prompt once that is in its cells."""
        prompt = self._system_prompt(sequence)
        if prefix is None and prompt:
            self._prefixes.begin(sequence.scope, prompt, sequence.id)

    def _release_older(self, sequence: Sequence) -> None:
        """What its thread left behind in the pool is of no use any more."""
        cached = self._cached_threads.named(sequence.scope, sequence.thread)
        if cached is not None:
            self.idle.drop(cached)

    def _system_prompt(self, sequence: Sequence) -> list[int]:
        return system_prompt(sequence) if self._reuse else []
