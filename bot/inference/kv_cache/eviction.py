"""Eviction: which idle threads and shared prefixes leave their cells, and in which order."""

from __future__ import annotations

from bot.inference.core.sequence import Action, Offload, Release, Trim
from bot.inference.kv_cache.cached_threads import CachedTokens, SharedPrefixes, ThreadIndex
from bot.inference.kv_cache.pool import Pool
from bot.inference.kv_cache.saved_states import SavedStates

_IDLE_SHARE = 4
"""Idle threads that are not worth saving keep a quarter of the pool."""


class EvictionPolicy:
    """Idle threads go before shared prefixes, the least recently used first.

    An evicted thread is offloaded if that is worth it. The model's part is added to ``actions``.
    """

    def __init__(
        self,
        pool: Pool,
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
        self.offload_and_drop(victim)
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
            self.offload_and_drop(oldest)
        elif oldest is not self._not_worth_saving:
            if self.offload(oldest.slot, oldest.scope, oldest.thread, oldest.tokens):
                self.drop(oldest)
            else:
                self._not_worth_saving = oldest

    def offload_all(self) -> None:
        """Offload every idle thread, before the pool is closed."""
        for cached in self._cached_threads:
            self.offload_and_drop(cached)

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

    def offload_and_drop(self, idle: CachedTokens) -> None:
        """Evict this candidate."""
        if idle in self._cached_threads:
            self.offload(idle.slot, idle.scope, idle.thread, idle.tokens)
        self.drop(idle)
