"""DraftSlots: what a draft model has evaluated of which sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bot.inference.core.sequence import DraftRequest, common_length


@dataclass(slots=True, eq=False)
class DraftSlot:
    """The slot ``number`` has the cells of ``tokens``, which were evaluated for ``sequence``."""

    number: int
    tokens: list[int] = field(default_factory=list)
    sequence: int | None = None

    def num_common(self, request: DraftRequest) -> int:
        return common_length(self.tokens, request.tokens)


class DraftSlots:
    """The slots of one context: ``num_cells`` in all, of which each has at most ``slot_cells``.

    They keep what they have until another sequence needs the room, so that the next question of
    a thread goes on from there.
    """

    def __init__(self, num_slots: int, num_cells: int, slot_cells: int) -> None:
        self._num_cells, self._slot_cells = num_cells, slot_cells
        self._by_use = [DraftSlot(number) for number in range(num_slots)]
        """The least recently used first."""

    def assign(self, requests: Sequence[DraftRequest]) -> list[tuple[DraftSlot, DraftRequest]]:
        """A slot for each request that has room."""
        asking = {request.sequence for request in requests}
        found, num_cells = [], 0
        for request in requests:
            needed = len(request.tokens) + request.num_tokens
            if needed > self._slot_cells or num_cells + needed > self._num_cells:
                continue
            if slot := self._slot_of(request) or self._free_slot(request, asking):
                num_cells += needed
                slot.sequence = request.sequence
                self._by_use.remove(slot)
                self._by_use.append(slot)
                found.append((slot, request))
        return found

    def evicted(self, found: Sequence[tuple[DraftSlot, DraftRequest]]) -> Iterator[DraftSlot]:
        """Those that must be cleared so that there are enough cells for ``found``."""
        used = [slot for slot, _ in found]
        needed = sum(len(request.tokens) + request.num_tokens for _, request in found)
        others = [slot for slot in self._by_use if slot not in used]
        num_kept = sum(len(slot.tokens) for slot in others)
        for slot in others:
            if needed + num_kept <= self._num_cells:
                return
            num_kept -= len(slot.tokens)
            yield slot

    def _slot_of(self, request: DraftRequest) -> DraftSlot | None:
        return next((s for s in self._by_use if s.sequence == request.sequence), None)

    def _free_slot(self, request: DraftRequest, asking: set[int]) -> DraftSlot | None:
        """One that has the thread's last turn, or else the least recently used."""
        free = [slot for slot in self._by_use if slot.sequence not in asking]
        same = [slot for slot in free if slot.num_common(request) > len(slot.tokens) // 2]
        return next(iter([*same[-1:], *free]), None)
