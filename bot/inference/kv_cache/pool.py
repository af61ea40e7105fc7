"""The unified KV pool: slots (llama.cpp's ``seq_id``), the cells that they own, and their eviction.

A cell stores one token of one slot, or of a shared prefix and all slots that use it. A shared
prefix has its own slot, which owns the cells; a user owns the cells of the tokens after them, and
may be a longer prefix itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.inference.core.sequence import Action, Offload, Release, Trim
from bot.inference.kv_cache.cached_threads import CachedTokens, SharedPrefixes, ThreadIndex
from bot.inference.kv_cache.saved_states import SavedStates


@dataclass(slots=True)
class _Slot:
    """The slot shares the first ``num_shared`` cells of the slot ``prefix``."""

    num_own: int = 0
    prefix: int | None = None
    num_shared: int = 0
    num_users: int = 0


class KVPool:
    """``num_cells`` cells for ``num_slots`` slots."""

    def __init__(self, num_cells: int, num_slots: int) -> None:
        self.num_cells = num_cells
        self.num_used = 0
        self._free_slots = list(range(num_slots - 1, -1, -1))
        self._slots: dict[int, _Slot] = {}

    @property
    def num_free(self) -> int:
        return self.num_cells - self.num_used

    @property
    def has_slot(self) -> bool:
        return bool(self._free_slots)

    def take(self) -> int:
        """Take a free slot; it has no cells yet."""
        slot = self._free_slots.pop()
        self._slots[slot] = _Slot()
        return slot

    def grow(self, slot: int, num_tokens: int) -> None:
        """Add ``num_tokens`` cells; RuntimeError (a planning bug) if too few are free."""
        if num_tokens > self.num_free:
            raise RuntimeError("the plan put more tokens into the pool than fit")
        self._own(slot, self._slots[slot].num_own + num_tokens)

    def trim(self, slot: int, num_tokens: int) -> None:
        """The slot keeps only its first ``num_tokens`` tokens, shared ones among them."""
        cells = self._slots[slot]
        cells.num_shared = min(cells.num_shared, num_tokens)
        self._own(slot, num_tokens - cells.num_shared)

    def free(self, slot: int) -> None:
        """Free the slot and its cells; RuntimeError (a planning bug) if it is a prefix in use."""
        if self._slots[slot].num_users:
            raise RuntimeError("a shared prefix was freed before its users")
        self._own(slot, 0)
        cells = self._slots.pop(slot)
        if cells.prefix is not None:
            self._slots[cells.prefix].num_users -= 1
        self._free_slots.append(slot)

    def share(self, prefix: int, slot: int, num_tokens: int) -> None:
        """``slot``, which is empty, shares the first ``num_tokens`` cells of ``prefix``."""
        cells = self._slots[slot]
        cells.prefix, cells.num_shared = prefix, num_tokens
        self._slots[prefix].num_users += 1

    def hand_over(self, slot: int, prefix: int, num_tokens: int) -> None:
        """Move the first ``num_tokens`` cells of ``slot`` to ``prefix``; ``slot`` shares them.

        Those that ``slot`` shares already are shared by ``prefix`` instead.
        """
        cells, new = self._slots[slot], self._slots[prefix]
        new.prefix, new.num_shared = cells.prefix, cells.num_shared
        self._own(slot, cells.num_own - (num_tokens - new.num_shared))
        self._own(prefix, num_tokens - new.num_shared)
        self.share(prefix, slot, num_tokens)

    def share_again(self, prefix: int, slot: int, num_tokens: int) -> None:
        """``slot`` frees its first ``num_tokens`` cells and shares those of ``prefix``."""
        self._own(slot, self._slots[slot].num_own - num_tokens)
        self.share(prefix, slot, num_tokens)

    def prefixes_of(self, slot: int) -> Iterator[int]:
        """The prefix that the slot shares, then the one which that shares, and so on."""
        while (prefix := self._slots[slot].prefix) is not None:
            yield prefix
            slot = prefix

    def num_users(self, prefix: int) -> int:
        return self._slots[prefix].num_users

    def num_own(self, slot: int) -> int:
        """Cells that freeing the slot would free."""
        return self._slots[slot].num_own

    def num_shared(self, slot: int) -> int:
        """Cells that the slot shares and a prefix owns."""
        return self._slots[slot].num_shared

    def _own(self, slot: int, num_cells: int) -> None:
        cells = self._slots[slot]
        self.num_used += num_cells - cells.num_own
        cells.num_own = num_cells


_IDLE_SHARE = 4
"""Idle threads that are not worth saving keep a quarter of the pool."""


class EvictionPolicy:
    """Idle threads go before shared prefixes, the least recently used first.

    An evicted thread is offloaded if that is worth it. The model's part is added to ``actions``.
    """

    def __init__(
        self,
        pool: KVPool,
        cached_threads: ThreadIndex[CachedTokens],
        prefixes: SharedPrefixes,
        saved_states: SavedStates,
        actions: list[Action],
    ) -> None:
        self._pool, self._actions = pool, actions
        self._cached_threads, self._prefixes = cached_threads, prefixes
        self._saved_states = saved_states
        self._not_worth_saving: CachedTokens | None = None

    def candidates(self) -> list[CachedTokens]:
        """All idle threads and unused prefixes, the next to be evicted first."""
        return [*self._cached_threads, *self.unused_prefixes()]

    def unused_prefixes(self) -> list[CachedTokens]:
        """Least recently used first."""
        return [p for p in self._prefixes if not self._pool.num_users(p.slot)]

    def evict(self, keep: CachedTokens | None = None) -> bool:
        """Evict the first candidate but ``keep``; False where there is none."""
        victim = next((r for r in self.candidates() if r is not keep), None)
        if victim is None:
            return False
        self._offload_and_drop(victim)
        return True

    def evict_prefix(self) -> None:
        """Evict an unused prefix, or else the idle threads that use one, one at a call."""
        if unused := self.unused_prefixes():
            self.drop(unused[0])
        else:
            self.evict()

    def evict_oldest(self, num_kept: int) -> None:
        """Evict one idle thread, if there are more than ``num_kept``.

        The attention of every step runs over all cells in use, so idle threads leave the pool,
        and restoring one takes a millisecond or two. Besides, llama.cpp on a CPU splits the
        attention of a reply among its threads by cells, once there are 512: where half of them
        are idle, one thread does all the work (14 ms a token became 11). Only one goes with each
        step, so that saving states makes no step long.
        """
        if len(self._cached_threads) <= num_kept:
            return
        oldest = next(iter(self._cached_threads))
        num_idle = sum(self._pool.num_own(r.slot) for r in self._cached_threads)
        if num_idle > self._pool.num_cells // _IDLE_SHARE:
            self._offload_and_drop(oldest)
        elif oldest is not self._not_worth_saving:
            if self.offload(oldest.slot, oldest.scope, oldest.thread, oldest.tokens):
                self.drop(oldest)
            else:
                self._not_worth_saving = oldest

    def offload_all(self) -> None:
        """Offload every idle thread, before the pool is closed."""
        for cached in self._cached_threads:
            self._offload_and_drop(cached)

    def offload(self, slot: int, scope: str, thread: str | None, tokens: list[int]) -> bool:
        """Save the slot's state, if that is worth it; the caller frees the slot."""
        saved = self._saved_states.offload(scope, thread, tokens, self._pool.num_own(slot))
        if saved is not None:
            self._actions.append(Offload(slot, saved))
        return saved is not None

    def drop(self, idle: CachedTokens) -> None:
        """Remove a candidate without saving it."""
        index = self._cached_threads if idle in self._cached_threads else self._prefixes
        index.remove(idle)
        self.release(idle.slot)

    def release(self, slot: int) -> None:
        self._pool.free(slot)
        self._actions.append(Release(slot))

    def drop_refused(self, slot: int) -> None:
        """The state for the slot was refused; drop its thread if the sequence is retired already.

        The slot is empty, so the Trim that retiring it planned is taken back.
        """
        cached = next((r for r in self._cached_threads if r.slot == slot), None)
        if cached is not None:
            trim = Trim(slot, len(cached.tokens))
            self._actions[:] = [action for action in self._actions if action != trim]
            self.drop(cached)

    def forget(self, scope: str, thread: str) -> None:
        """Remove the idle thread, and its saved state."""
        cached = self._cached_threads.named(scope, thread)
        if cached is not None:
            self.drop(cached)
        self._saved_states.forget(scope, thread)

    def _offload_and_drop(self, idle: CachedTokens) -> None:
        if idle in self._cached_threads:
            self.offload(idle.slot, idle.scope, idle.thread, idle.tokens)
        self.drop(idle)
