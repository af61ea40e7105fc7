"""Who sits where in the unified KV pool: slots (llama.cpp's ``seq_id``) and cells."""

from __future__ import annotations


class KVPool:
    """``num_cells`` cells shared by ``num_slots`` slots; a cell holds one token of one slot."""

    def __init__(self, num_cells: int, num_slots: int) -> None:
        self.num_cells = num_cells
        self._free_slots = list(range(num_slots - 1, -1, -1))
        self._used: dict[int, int] = {}

    @property
    def num_used(self) -> int:
        return sum(self._used.values())

    @property
    def num_free(self) -> int:
        return self.num_cells - self.num_used

    @property
    def has_slot(self) -> bool:
        return bool(self._free_slots)

    def take(self) -> int:
        """A free slot, holding no cells yet."""
        slot = self._free_slots.pop()
        self._used[slot] = 0
        return slot

    def grow(self, slot: int, num_tokens: int) -> None:
        """The slot holds ``num_tokens`` more; RuntimeError beyond the pool: a planning bug."""
        if num_tokens > self.num_free:
            raise RuntimeError("the plan put more tokens into the pool than fit")
        self._used[slot] += num_tokens

    def free(self, slot: int) -> None:
        del self._used[slot]
        self._free_slots.append(slot)
