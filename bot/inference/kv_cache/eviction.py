"""Cells in which nobody runs: idle threads and unused shared prompts, until they must go."""

from __future__ import annotations

from bot.inference.core.sequence import Action, Offload, Release, Trim
from bot.inference.kv_cache.cached_threads import CachedTokens, SharedPrefixes, ThreadIndex
from bot.inference.kv_cache.pool import KVPool
from bot.inference.kv_cache.saved_states import SavedStates

_IDLE_SHARE = 4
"""Where they cannot be parked, idle threads keep a quarter of the pool."""


class EvictionPolicy:
    """Idle threads go before shared prompts, least recently used first, and are parked.

    What the model must do for it goes to ``actions``.
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
        self._cached_threads, self._prefixes, self._saved_states = (
            cached_threads,
            prefixes,
            saved_states,
        )
        self._not_worth_parking: CachedTokens | None = None

    def all(self) -> list[CachedTokens]:
        """Who goes first comes first."""
        return [*self._cached_threads, *self._unused()]

    def _unused(self) -> list[CachedTokens]:
        return [p for p in self._prefixes if not self._pool.num_users(p.slot)]

    def evict(self, keep: CachedTokens | None = None) -> bool:
        """Let the first idle one go, parked if it is worth it; False if there is none."""
        victim = next((r for r in self.all() if r is not keep), None)
        if victim is None:
            return False
        self._put_away(victim)
        return True

    def evict_prefix(self) -> None:
        """Of one that only idle threads use these go first."""
        if unused := self._unused():
            self.drop(unused[0])
        else:
            self.evict()

    def _put_away(self, idle: CachedTokens) -> None:
        if idle in self._cached_threads:
            self.offload(idle.slot, idle.scope, idle.thread, idle.tokens)
        self.drop(idle)

    def offload(self, slot: int, scope: str, thread: str | None, tokens: list[int]) -> bool:
        saved = self._saved_states.offload(scope, thread, tokens, self._pool.num_own(slot))
        if saved is not None:
            self._actions.append(Offload(slot, saved))
        return saved is not None

    def drop(self, idle: CachedTokens) -> None:
        home = self._cached_threads if idle in self._cached_threads else self._prefixes
        home.remove(idle)
        self.release(idle.slot)

    def release(self, slot: int) -> None:
        self._pool.free(slot)
        self._actions.append(Release(slot))

    def lose(self, slot: int) -> None:
        """Nothing was restored into the slot, and its sequence has retired meanwhile."""
        cached = next((r for r in self._cached_threads if r.slot == slot), None)
        if cached is not None:
            trim = Trim(slot, len(cached.tokens))
            self._actions[:] = [action for action in self._actions if action != trim]
            self.drop(cached)

    def forget(self, scope: str, thread: str) -> None:
        """Nothing of the idle thread stays, nor of what was parked of it."""
        cached = self._cached_threads.named(scope, thread)
        if cached is not None:
            self.drop(cached)
        self._saved_states.forget(scope, thread)

    def offload_all(self) -> None:
        """Park every idle thread: the pool is about to go."""
        for cached in self._cached_threads:
            self._put_away(cached)

    def let_oldest_go(self, num_kept: int) -> None:
        """Every step's attention runs over all cells in use, so idle ones do not stay there.

        One that is parked is back within a millisecond or two. And llama.cpp on a CPU shares
        one reply's attention among its threads by cells, once there are 512 of them: where half
        of those are idle, one thread does all the work (14 ms a token became 11). One goes with
        each step, so that saving its state makes none of them long; ``num_kept`` of them stay.
        """
        if len(self._cached_threads) <= num_kept:
            return
        oldest = next(iter(self._cached_threads))
        num_idle = sum(self._pool.num_own(r.slot) for r in self._cached_threads)
        if num_idle > self._pool.num_cells // _IDLE_SHARE:
            self._put_away(oldest)
        elif oldest is not self._not_worth_parking:
            if self.offload(oldest.slot, oldest.scope, oldest.thread, oldest.tokens):
                self.drop(oldest)
            else:
                self._not_worth_parking = oldest
