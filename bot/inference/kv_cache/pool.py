"""The unified KV pool: slots (llama.cpp's ``seq_id``) and the cells that they own.

A cell stores one token of one slot, or of a shared prefix and all slots that use it. A shared
prefix has its own slot, which owns the cells; a user owns the cells of the tokens after them, and
may be a longer prefix itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class Pool(Protocol):
    """Slots and their cells, in one pool or in streams. A slot's tokens are its own or shared."""

    @property
    def num_cells(self) -> int: ...
    @property
    def num_used(self) -> int: ...
    def grow(self, slot: int, num_tokens: int) -> None: ...
    def trim(self, slot: int, num_tokens: int) -> None: ...
    def free(self, slot: int) -> None: ...
    def share(self, prefix: int, slot: int, num_tokens: int) -> None: ...
    def num_users(self, prefix: int) -> int: ...
    def num_own(self, slot: int) -> int: ...
    def num_shared(self, slot: int) -> int: ...


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
