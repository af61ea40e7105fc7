"""Which threads are parked, and within how many bytes; ``Offloading`` does what follows from it.

The least recently used go from memory to disk, and from the disk for good.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.inference.core.saved_state import SavedState
from bot.inference.kv_cache.cached_threads import MIN_PREFIX, ThreadIndex
from bot.inference.kv_cache.cost_model import MIN_GAIN, CostModel

_SPILL_SHARE = 0.875
"""Of the memory; what is above it is written to disk, so that there is room for the next."""


class SavedStates:
    """Bookkeeping only. ``wanted`` are to be read from disk, files in ``discarded`` deleted."""

    def __init__(
        self, max_memory: int = 0, max_disk: int = 0, *, min_gain: float = MIN_GAIN
    ) -> None:
        self.max_memory, self.max_disk = max_memory, max_disk
        self.is_open = False
        self.costs = CostModel(min_gain)
        self.wanted: list[SavedState] = []
        self.discarded: list[str] = []
        self.writing: SavedState | None = None
        self.num_dropped = 0
        self._threads: ThreadIndex[SavedState] = ThreadIndex()

    def __len__(self) -> int:
        return len(self._threads)

    def __iter__(self) -> Iterator[SavedState]:
        return iter(self._threads)

    def __contains__(self, saved: object) -> bool:
        return saved in self._threads

    @property
    def num_changes(self) -> int:
        return self._threads.num_changes

    @property
    def memory_bytes(self) -> int:
        return sum(p.num_bytes for p in self._threads if p.state is not None)

    @property
    def disk_bytes(self) -> int:
        return sum(p.num_bytes for p in self._threads if p.file)

    def offload(
        self, scope: str, thread: str | None, tokens: list[int], num_own: int
    ) -> SavedState | None:
        """A place for tokens of which ``num_own`` are in nobody else's cells, if it is worth it."""
        if not self.is_open or num_own < MIN_PREFIX:
            return None
        if not self.costs.is_worth_saving(len(tokens), num_own):
            return None
        saved = SavedState(scope, thread, tokens)
        self.add(saved)
        return saved

    def add(self, saved: SavedState) -> None:
        """As the one used last; an older state of the same thread goes."""
        older = self._threads.add(saved)
        if older is not None:
            self._discard_file(older)

    def find(
        self, scope: str, thread: str | None, tokens: list[int], num_prefix: int = 0
    ) -> tuple[SavedState, int] | None:
        return self._threads.match(scope, thread, tokens, num_prefix)

    def is_ready(self, saved: SavedState) -> bool:
        """Whether it is in memory; if not, it will be read as soon as there is room for it."""
        if saved.state is None and not saved.is_wanted and self._has_room_to_read(saved):
            saved.is_wanted = True
            self.wanted.append(saved)
        return saved.state is not None

    def _has_room_to_read(self, saved: SavedState) -> bool:
        """One at a time if memory is full."""
        reading = sum(p.num_bytes for p in self._threads if p.is_wanted)
        return not reading or self.memory_bytes + reading + saved.num_bytes <= self.max_memory

    def remove(self, saved: SavedState) -> None:
        """It is restored, lost or of no use any more."""
        self._threads.remove(saved)
        self._discard_file(saved)

    def forget(self, scope: str, thread: str | None) -> None:
        """Remove what the thread of that name left."""
        saved = self._threads.named(scope, thread)
        if saved is not None:
            self.remove(saved)

    def forget_before(self, time: float) -> None:
        """Remove what was parked before that time and not used since."""
        for saved in self._threads:
            if 0 < saved.saved_at < time:
                self.remove(saved)

    def touch(self, saved: SavedState) -> None:
        """It counts as used last."""
        self._threads.remove(saved)
        self._threads.add(saved)

    def stamp(self, now: float) -> None:
        """Those whose state has come since the last time."""
        for saved in self._in_memory():
            saved.saved_at = saved.saved_at or now

    def drop(self, saved: SavedState) -> None:
        """There is no room for it."""
        self.remove(saved)
        self.num_dropped += 1

    def drop_unsaved(self) -> None:
        """The step that should have saved them failed."""
        for saved in self._threads:
            if saved.state is None and not saved.file:
                self.remove(saved)

    def drop_excess(self) -> None:
        """Keep to the memory and one state more, where writing to disk does not keep up."""
        excess = self.memory_bytes - self.max_memory - self._largest
        for saved in list(self._in_memory())[:-1]:
            if excess <= 0:
                return
            if saved is self.writing:
                continue
            excess -= saved.num_bytes
            if saved.file:
                saved.state = None
            else:
                self.drop(saved)

    def next_to_spill(self) -> SavedState | None:
        """Who is to be written to disk now; what is there already only leaves the memory."""
        share = int(self.max_memory * _SPILL_SHARE)
        excess = self.memory_bytes - max(0, min(share, self.max_memory - self._largest))
        for saved in self._in_memory():
            if excess <= 0:
                return None
            if not saved.file:
                return saved
            saved.state = None
            excess -= saved.num_bytes
        return None

    def unwritten(self) -> list[SavedState]:
        """Only in memory; used last comes first."""
        return [p for p in self._in_memory() if not p.file][::-1]

    def make_room_on_disk(self, saved: SavedState | None = None) -> bool:
        """Discard files used before ``saved`` until there is room for it; False: there is none."""
        excess = self.disk_bytes - self.max_disk + (saved.num_bytes if saved else 0)
        for other in self._threads:
            if excess <= 0 or other is saved:
                break
            if other.file:
                excess -= other.num_bytes
                self._leave_disk(other)
        return excess <= 0

    def _leave_disk(self, saved: SavedState) -> None:
        if saved.state is None:
            self.remove(saved)
        else:
            self._discard_file(saved)

    @property
    def _largest(self) -> int:
        return max((p.num_bytes for p in self._in_memory()), default=0)

    def _in_memory(self) -> Iterator[SavedState]:
        return (p for p in self._threads if p.state is not None)

    def _discard_file(self, saved: SavedState) -> None:
        if saved.file:
            self.discarded.append(saved.file)
            saved.file = ""
