"""Who sits where in the unified KV pool: slots (llama.cpp's ``seq_id``) and cells.

A cell holds one token of one slot, or of a shared prefix and every slot that uses it. A
prefix sits in a slot of its own, which owns the cells; a user owns what comes after them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Slot:
    """``prefix`` is the slot whose first ``num_shared`` cells this one uses, too."""

    num_own: int = 0
    prefix: int | None = None
    num_shared: int = 0
    num_users: int = 0


class KVPool:
    """``num_cells`` cells for ``num_slots`` slots."""

    def __init__(self, num_cells: int, num_slots: int) -> None:
        self.num_cells = num_cells
        self._free_slots = list(range(num_slots - 1, -1, -1))
        self._slots: dict[int, _Slot] = {}
        self._num_used = 0

    @property
    def num_free(self) -> int:
        return self.num_cells - self._num_used

    @property
    def has_slot(self) -> bool:
        return bool(self._free_slots)

    def take(self) -> int:
        """A free slot, holding no cells yet."""
        slot = self._free_slots.pop()
        self._slots[slot] = _Slot()
        return slot

    def grow(self, slot: int, num_tokens: int) -> None:
        """The slot holds ``num_tokens`` more; RuntimeError beyond the pool: a planning bug."""
        if num_tokens > self.num_free:
            raise RuntimeError("the plan put more tokens into the pool than fit")
        self._own(slot, self._slots[slot].num_own + num_tokens)

    def trim(self, slot: int, num_tokens: int) -> None:
        """The slot holds its first ``num_tokens`` tokens only, shared ones among them."""
        cells = self._slots[slot]
        cells.num_shared = min(cells.num_shared, num_tokens)
        self._own(slot, num_tokens - cells.num_shared)

    def free(self, slot: int) -> None:
        """RuntimeError for a prefix that still has users: a planning bug."""
        if self._slots[slot].num_users:
            raise RuntimeError("a shared prefix was freed before its users")
        self._own(slot, 0)
        cells = self._slots.pop(slot)
        if cells.prefix is not None:
            self._slots[cells.prefix].num_users -= 1
        self._free_slots.append(slot)

    def share(self, prefix: int, slot: int, num_tokens: int) -> None:
        """``slot`` uses the first ``num_tokens`` cells of ``prefix`` instead of own ones."""
        cells = self._slots[slot]
        cells.prefix, cells.num_shared = prefix, num_tokens
        self._slots[prefix].num_users += 1

    def hand_over(self, slot: int, prefix: int, num_tokens: int) -> None:
        """The first ``num_tokens`` cells of ``slot`` belong to ``prefix`` from now on."""
        self._own(slot, self._slots[slot].num_own - num_tokens)
        self._own(prefix, num_tokens)
        self.share(prefix, slot, num_tokens)

    def share_again(self, prefix: int, slot: int, num_tokens: int) -> None:
        """``slot`` gives its first ``num_tokens`` cells back and uses those of ``prefix``."""
        self._own(slot, self._slots[slot].num_own - num_tokens)
        self.share(prefix, slot, num_tokens)

    def prefix_of(self, slot: int) -> int | None:
        return self._slots[slot].prefix

    def num_users(self, prefix: int) -> int:
        return self._slots[prefix].num_users

    def num_own(self, slot: int) -> int:
        """Cells that freeing the slot would free."""
        return self._slots[slot].num_own

    def num_shared(self, slot: int) -> int:
        """Cells that the slot uses and a shared prefix owns."""
        return self._slots[slot].num_shared

    def _own(self, slot: int, num_cells: int) -> None:
        cells = self._slots[slot]
        self._num_used += num_cells - cells.num_own
        cells.num_own = num_cells
