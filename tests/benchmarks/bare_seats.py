"""Where the bare loop's threads are: in the pool, or saved in memory. Native calls only."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import llama_cpp as llama

from bot.inference.core.sequence import common_length


@dataclass(frozen=True, slots=True)
class Prefix:
    """A system prompt evaluated in a slot of its own."""

    slot: int
    num_tokens: int


@dataclass(slots=True, eq=False)
class Seat:
    """``tokens`` are evaluated, in ``slot`` or in ``state``; while it runs, the last are not."""

    prefix: Prefix
    tokens: list[int] = field(default_factory=list)
    slot: int | None = None
    state: Any = None
    is_running: bool = False

    @property
    def num_own(self) -> int:
        """Cells beside those of the prefix."""
        return max(0, len(self.tokens) - self.prefix.num_tokens)


class Seats:
    """Parks the idle threads used least recently, once more than ``max_cells`` are in use."""

    def __init__(self, context: Any, num_slots: int, max_cells: int) -> None:
        self._context, self._memory = context, llama.llama_get_memory(context)
        self._free = list(range(num_slots))
        self._seats: dict[str, Seat] = {}
        self._max_cells = max_cells
        self.num_parked = self.num_restored = 0

    def take_slot(self) -> int:
        return self._free.pop()

    def take(self, thread: str, tokens: list[int], prefix: Prefix) -> tuple[int, int]:
        """The slot of the thread, and how many of ``tokens`` need no evaluation."""
        seat = self._seats.pop(thread, None) or Seat(prefix)
        self._seats[thread] = seat  # at the end: used last
        seat.is_running = True
        num_known = min(common_length(seat.tokens, tokens), len(tokens) - 1)
        num_known = max(num_known, prefix.num_tokens)
        seat.tokens = tokens
        self._park_idle()
        if seat.slot is None:
            seat.slot = self._fill(seat)
        self._remove(seat.slot, num_known, -1)
        return seat.slot, num_known

    def leave(self, thread: str, num_cached: int) -> None:
        """Its turn is over; its cells stay."""
        seat = self._seats[thread]
        seat.is_running, seat.tokens = False, seat.tokens[:num_cached]

    def _fill(self, seat: Seat) -> int:
        """The prefix's cells are shared, also after a restore, which brings copies of them."""
        slot, prefix = self.take_slot(), seat.prefix
        if seat.state is not None:
            size = len(seat.state)
            if llama.llama_state_seq_set_data(self._context, seat.state, size, slot) != size:
                raise RuntimeError("a parked thread could not be restored")
            seat.state, self.num_restored = None, self.num_restored + 1
            self._remove(slot, 0, prefix.num_tokens)
        llama.llama_memory_seq_cp(self._memory, prefix.slot, slot, 0, prefix.num_tokens)
        return slot

    def _park_idle(self) -> None:
        for seat in list(self._idle()):
            if self._num_used <= self._max_cells:
                return
            self._park(seat)

    @property
    def _num_used(self) -> int:
        in_use = (s for s in self._seats.values() if s.is_running or s.slot is not None)
        return sum(seat.num_own for seat in in_use)

    def _idle(self) -> Iterator[Seat]:
        return (s for s in self._seats.values() if s.slot is not None and not s.is_running)

    def _park(self, seat: Seat) -> None:
        slot = seat.slot
        if slot is None:
            return
        size = llama.llama_state_seq_get_size(self._context, slot)
        seat.state = (ctypes.c_uint8 * size)()
        if llama.llama_state_seq_get_data(self._context, seat.state, size, slot) != size:
            raise RuntimeError("a thread could not be parked")
        self._remove(slot, 0, -1)
        self._free.append(slot)
        seat.slot, self.num_parked = None, self.num_parked + 1

    def _remove(self, slot: int, start: int, end: int) -> None:
        if not llama.llama_memory_seq_rm(self._memory, slot, start, end):
            raise RuntimeError(f"cells of slot {slot} could not be removed")
