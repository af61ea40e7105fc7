"""UnifiedKVCache: sequences share one pool of cells, and a shared prefix its cells with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Action, Restore, Sequence, Status
from bot.inference.kv_cache.cached_threads import CachedTokens
from bot.inference.kv_cache.manager import HEADROOM, KVCacheManager
from bot.inference.kv_cache.pool import KVPool
from bot.inference.kv_cache.prefix_lookup import PrefixMatch
from bot.inference.kv_cache.saved_states import SavedStates


class UnifiedKVCache(KVCacheManager):
    """``max_running`` of the slots are reserved for sequences; shared prefixes use the others.

    A shared prefix is never evicted before its users.
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
        self._cells = KVPool(num_cells, num_slots)
        self._max_prefixes = num_slots - max_running
        super().__init__(self._cells, reuse=reuse, saved_states=saved_states)

    @property
    def num_attended(self) -> int:
        """The attention of every step runs over all cells in use."""
        return self._cells.num_used

    def prepare(self, waiting: Iterable[Sequence]) -> None:
        """A pool has no layout."""

    def has_room(self, sequence: Sequence) -> bool:
        """A sequence that is alone is tried in any case."""
        return not self._running or self._could_free(self._num_needed(sequence), sequence)

    def could_hold(self, sequence: Sequence) -> bool:
        return self.has_room(sequence)

    def room_for(self, sequence: Sequence, num_tokens: int, spared: int = 0) -> int:
        self._evict_for(num_tokens + spared)
        return max(0, min(num_tokens, self._cells.num_free - spared))

    def make_room_to_decode(self, decoding: Collection[Sequence]) -> bool:
        self._evict_for(len(decoding))
        return self.has_cells_for(decoding)

    def has_cells_for(self, decoding: Collection[Sequence]) -> bool:
        return len(decoding) <= self._cells.num_free

    def take_actions(self) -> list[Action]:
        self.eviction.evict_oldest(num_kept=0 if self._running else 1)
        return super().take_actions()

    def _num_needed(self, sequence: Sequence) -> int:
        """Cells for the sequence, with room to grow for it and for those that run."""
        running = self._running.values()
        promised = sum(s.num_pending for s in running if s.status is Status.PREFILL)
        headroom = HEADROOM * (len(running) + 1) + len(sequence.forced)
        return promised + self._num_new(sequence) + headroom

    def _num_new(self, sequence: Sequence) -> int:
        """Cells that the sequence takes, beyond those that it reuses."""
        found = self._lookup.find(sequence)
        if found.saved is None:
            return sequence.num_pending - found.num_tokens
        shared = len(found.source.tokens) if found.source else 0
        return max(sequence.num_pending - shared, len(found.saved.tokens))

    def _could_free(self, num_cells: int, sequence: Sequence) -> bool:
        """Whether eviction can give the sequence a slot and ``num_cells`` free cells."""
        kept = self._lookup.find(sequence).source
        idle = [r for r in self.eviction.candidates() if r is not kept]
        has_slot = self._cells.has_slot or bool(idle) or kept in self.cached_threads
        room = self._cells.num_free + sum(self._cells.num_own(r.slot) for r in idle)
        return has_slot and room >= num_cells

    def _evict_for(self, num_cells: int, keep: CachedTokens | None = None) -> None:
        """Evict until ``num_cells`` are free, or nothing is left to evict."""
        while self._cells.num_free < num_cells and self.eviction.evict(keep):
            pass

    def _make_room(self, sequence: Sequence, found: PrefixMatch) -> None:
        self._evict_for(self._num_needed(sequence), keep=found.source)

    def _has_room_for_state(self, sequence: Sequence, saved: SavedState) -> bool:
        return len(saved.tokens) <= self._cells.num_free

    def _can_share(self) -> bool:
        return self._cells.has_slot

    def _make_place_for_prefix(self, num_tokens: int) -> bool:
        """Make a slot free; False where that would take the slot of a sequence that may run."""
        slots = [other.held_slot for other in self._running.values()]
        used = {prefix for slot in slots for prefix in self._cells.prefixes_of(slot)}
        if len(used) >= self._max_prefixes:
            return False
        while len(self._prefixes) >= self._max_prefixes:
            self.eviction.evict_prefix()
        return self._cells.has_slot or self.eviction.evict()

    def _take_prefix_slot(self, sequence: Sequence, num_tokens: int) -> int:
        slot = self._cells.take()
        self._cells.hand_over(sequence.held_slot, slot, num_tokens)
        return slot

    def _resume(self, sequence: Sequence, cached: CachedTokens, num_tokens: int) -> None:
        self.cached_threads.remove(cached)
        self._resume_in(sequence, cached.slot, num_tokens)

    def _restore(
        self, sequence: Sequence, saved: SavedState, num_tokens: int, prefix: CachedTokens | None
    ) -> None:
        """Restore the whole state, then free the cells that the shared prefix has already."""
        self._saved_states.remove(saved)
        slot = self._take_slot(sequence, prefix)
        self._cells.grow(slot, len(saved.tokens))
        num_shared = len(prefix.tokens) if prefix else 0
        if prefix is not None:
            self._cells.share_again(prefix.slot, slot, num_shared)
        self._cells.trim(slot, num_tokens)
        sequence.num_shared, sequence.num_restored = num_shared, num_tokens - num_shared
        sequence.num_cached = num_tokens
        source = prefix.slot if prefix else None
        self._actions.append(Restore(slot, saved, num_tokens, source, num_shared))

    def _find_slot(self, sequence: Sequence, keep: CachedTokens | None, num_cells: int) -> int:
        if not self._cells.has_slot:
            self.eviction.evict(keep=keep)
        return self._cells.take()
