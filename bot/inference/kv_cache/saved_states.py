"""The saved states: which there are, how many bytes they may take, and whether they are worth it.

Bookkeeping only, no I/O: the model copies states, and ``Offloading`` reads and writes files.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Step
from bot.inference.kv_cache.cached_threads import MIN_PREFIX, ThreadIndex

MIN_GAIN = 2.0
_SPILL_SHARE = 0.875
"""Of the memory; states beyond it are written to disk, so that the next one has room."""
_SMOOTHING = 0.3
_MIN_PREFILL = 16
"""Prompt tokens; shorter steps are not measured."""
_TRY_AGAIN = 32
"""One in so many refusals is overruled, so that one slow moment does not decide for ever."""


class _MovingAverage:
    """A moving average of seconds (or bytes) for each unit; None until measured."""

    def __init__(self) -> None:
        self._value: float | None = None

    def take(self, seconds: float, number: int) -> None:
        if number <= 0:
            return
        each = seconds / number
        known = self._value if self._value is not None else each
        self._value = known + _SMOOTHING * (each - known)

    def of(self, number: int) -> float | None:
        return self._value * number if self._value is not None else None


class CostModel:
    """Decides whether a saved state is faster than prefill.

    ``min_gain``: the detour over a saved state must be that many times as fast as prefill. A
    cost that was never measured counts as worth it, so that it is measured.
    """

    def __init__(self, min_gain: float = MIN_GAIN) -> None:
        self._min_gain = min_gain
        self._evaluated, self._saved = _MovingAverage(), _MovingAverage()
        self._restored, self._read = _MovingAverage(), _MovingAverage()
        self._bytes_per_token = _MovingAverage()
        self._num_refused = 0

    def evaluated(self, step: Step, seconds: float) -> None:
        """Measure a prompt's token, in steps that consist mostly of prefill."""
        num_prefill = step.num_prefill
        if num_prefill >= max(_MIN_PREFILL, 3 * step.num_decode):
            self._evaluated.take(max(0.0, seconds), num_prefill)

    def saved(self, saved: SavedState) -> None:
        self._saved.take(saved.seconds, saved.num_bytes)
        self._bytes_per_token.take(saved.num_bytes, len(saved.tokens))

    def restored(self, saved: SavedState) -> None:
        self._restored.take(saved.seconds, saved.num_bytes)

    def was_read(self, saved: SavedState, seconds: float) -> None:
        self._read.take(seconds, saved.num_bytes)

    def is_worth_saving(self, num_tokens: int, num_own: int) -> bool:
        """Without the state, ``num_own`` of its ``num_tokens`` would be evaluated again."""
        num_bytes = int(self._bytes_per_token.of(num_tokens) or 0)
        detour = [self._saved.of(num_bytes), self._restored.of(num_bytes)]
        return self._is_worth(num_own, detour)

    def is_worth_restoring(self, saved: SavedState, num_gained: int) -> bool:
        detour = [self._restored.of(saved.num_bytes)]
        if saved.state is None:
            detour.append(self._read.of(saved.num_bytes))
        return self._is_worth(num_gained, detour)

    def _is_worth(self, num_tokens: int, detour: list[float | None]) -> bool:
        evaluating = self._evaluated.of(num_tokens)
        if evaluating is None:
            return num_tokens > 0
        if num_tokens > 0 and self._min_gain * sum(s or 0.0 for s in detour) <= evaluating:
            return True
        self._num_refused += 1
        return num_tokens > 0 and self._num_refused % _TRY_AGAIN == 0


class SavedStates(ThreadIndex[SavedState]):
    """The least recently used states go from memory to disk, and from disk they are deleted.

    States in ``wanted`` are to be read from disk; the files in ``discarded`` are to be deleted.
    """

    def __init__(
        self, max_memory: int = 0, max_disk: int = 0, *, min_gain: float = MIN_GAIN
    ) -> None:
        super().__init__()
        self.max_memory, self.max_disk = max_memory, max_disk
        self.is_open = False
        self.costs = CostModel(min_gain)
        self.wanted: list[SavedState] = []
        self.discarded: list[str] = []
        self.writing: SavedState | None = None
        self.num_dropped = 0

    @property
    def memory_bytes(self) -> int:
        return sum(p.num_bytes for p in self if p.state is not None)

    @property
    def disk_bytes(self) -> int:
        return sum(p.num_bytes for p in self if p.file)

    def offload(
        self, scope: str, thread: str | None, tokens: list[int], num_own: int
    ) -> SavedState | None:
        """Add an empty state for the tokens, if it is worth saving; the model fills it.

        ``num_own`` of the tokens are in cells of their own, not in those of a shared prefix.
        """
        if not self.is_open or num_own < MIN_PREFIX:
            return None
        if not self.costs.is_worth_saving(len(tokens), num_own):
            return None
        saved = SavedState(scope, thread, tokens)
        self.add(saved)
        return saved

    def is_ready(self, saved: SavedState) -> bool:
        """Whether the state is in memory; if not, it is read as soon as there is room for it."""
        if saved.state is None and not saved.is_wanted and self._has_room_to_read(saved):
            saved.is_wanted = True
            self.wanted.append(saved)
        return saved.state is not None

    def _has_room_to_read(self, saved: SavedState) -> bool:
        """One state at a time is read where memory is full."""
        reading = sum(p.num_bytes for p in self if p.is_wanted)
        return not reading or self.memory_bytes + reading + saved.num_bytes <= self.max_memory

    def remove(self, saved: SavedState) -> None:
        """Remove a state that is restored, lost, replaced or forgotten, and its file."""
        super().remove(saved)
        self._discard_file(saved)

    def forget(self, scope: str, thread: str | None) -> None:
        """Remove the state of the thread, if it has one."""
        saved = self.named(scope, thread)
        if saved is not None:
            self.remove(saved)

    def forget_before(self, time: float) -> None:
        """Remove states saved before ``time`` (seconds since 1970) and not used since."""
        for saved in self:
            if 0 < saved.saved_at < time:
                self.remove(saved)

    def stamp(self, now: float) -> None:
        """Set ``saved_at`` of the states that are new in memory."""
        for saved in self._in_memory():
            saved.saved_at = saved.saved_at or now

    def drop(self, saved: SavedState) -> None:
        """Remove a state for which there is no room."""
        self.remove(saved)
        self.num_dropped += 1

    def drop_unsaved(self) -> None:
        """Remove the states whose step failed before it saved them."""
        for saved in self:
            if saved.state is None and not saved.file:
                self.remove(saved)

    def drop_excess(self) -> None:
        """Bound the memory to its limit and one state, where writing to disk does not keep up."""
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
        """The next state to write to disk; those already on disk only leave the memory."""
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
        """The states that are only in memory, most recently used first."""
        return [p for p in self._in_memory() if not p.file][::-1]

    def make_room_on_disk(self, saved: SavedState | None = None) -> bool:
        """Discard files used before ``saved`` until it has room; False where it gets none."""
        excess = self.disk_bytes - self.max_disk + (saved.num_bytes if saved else 0)
        for other in self:
            if excess <= 0 or other is saved:
                break
            if other.file:
                excess -= other.num_bytes
                if other.state is None:
                    self.remove(other)
                else:
                    self._discard_file(other)
        return excess <= 0

    @property
    def _largest(self) -> int:
        return max((p.num_bytes for p in self._in_memory()), default=0)

    def _in_memory(self) -> Iterator[SavedState]:
        return (p for p in self if p.state is not None)

    def _discard_file(self, saved: SavedState) -> None:
        if saved.file:
            self.discarded.append(saved.file)
            saved.file = ""
