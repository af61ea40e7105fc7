"""StreamPool: who holds which stream of the lanes, how full it is, and what is on the shelves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.inference.core.lanes import FIRST_SHELF, Lanes, lane_of
from bot.inference.core.sequence import Move


@dataclass(slots=True)
class _Stream:
    """Its first ``num_shared`` tokens are those of a shared prefix, too.

    ``reserved``: the cells that its sequence is expected to need.
    """

    num_tokens: int = 0
    num_shared: int = 0
    reserved: int = 0


class StreamPool:
    """A slot in use is a stream of ``lanes``, or a shelf."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self._streams: dict[int, _Stream] = {}

    @property
    def num_cells(self) -> int:
        return sum(lane.num_cells for lane in self.lanes)

    @property
    def num_used(self) -> int:
        """Cells of all streams that are in use, shelves included."""
        return sum(stream.num_tokens for stream in self._streams.values())

    @property
    def num_on_shelves(self) -> int:
        return sum(s.num_tokens for slot, s in self._streams.items() if slot >= FIRST_SHELF)

    def length(self, slot: int) -> int:
        """The cells that the slot's stream has."""
        return lane_of(self.lanes, slot).stream_cells

    def room(self, slot: int) -> int:
        return self.length(slot) - self._streams[slot].num_tokens

    def reserved(self, slot: int) -> int:
        return self._streams[slot].reserved

    def reserve(self, slot: int, num_cells: int) -> None:
        self._streams[slot].reserved = num_cells

    def take(self, slot: int) -> None:
        """Take a free stream; it has no cells in use yet."""
        if slot in self._streams:
            raise RuntimeError(f"slot {slot} is taken already")
        self._streams[slot] = _Stream()

    def take_shelf(self) -> int:
        slot = FIRST_SHELF
        while slot in self._streams:
            slot += 1
        self._streams[slot] = _Stream()
        return slot

    def grow(self, slot: int, num_tokens: int) -> None:
        """Use ``num_tokens`` more cells; RuntimeError (a planning bug) if too few are free."""
        if slot < FIRST_SHELF and num_tokens > self.room(slot):
            raise RuntimeError("the plan put more tokens into a stream than fit")
        self._streams[slot].num_tokens += num_tokens

    def trim(self, slot: int, num_tokens: int) -> None:
        """The slot keeps only its first ``num_tokens`` tokens."""
        stream = self._streams[slot]
        stream.num_shared = min(stream.num_shared, num_tokens)
        stream.num_tokens = num_tokens

    def free(self, slot: int) -> None:
        del self._streams[slot]

    def share(self, prefix: int, slot: int, num_tokens: int) -> None:
        """``slot``, which is empty, gets a copy of the first ``num_tokens`` of ``prefix``."""
        self.grow(slot, num_tokens)
        self.mark_shared(slot, num_tokens)

    def mark_shared(self, slot: int, num_tokens: int) -> None:
        """The slot's first ``num_tokens`` tokens are those of a shared prefix, too."""
        self._streams[slot].num_shared = num_tokens

    def move(self, moves: Iterable[Move]) -> None:
        """All at once: a target may be the source of another."""
        moved = [(move.target, self._streams.pop(move.source)) for move in moves]
        for slot, stream in moved:
            if slot in self._streams:
                raise RuntimeError(f"slot {slot} is taken already")
            self._streams[slot] = stream

    def num_users(self, prefix: int) -> int:
        """Users have copies, so a shared prefix may go at any time."""
        return 0

    def num_own(self, slot: int) -> int:
        """Tokens that are lost with the slot, since no shared prefix has them."""
        stream = self._streams[slot]
        return stream.num_tokens - stream.num_shared

    def num_shared(self, slot: int) -> int:
        return self._streams[slot].num_shared
