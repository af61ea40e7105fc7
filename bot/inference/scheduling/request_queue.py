"""Who waits for a place, in the order in which they get one. Pure.

Fair to people (see FairQueue); background work comes last.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from itertools import islice

from bot.fair_queue import FairQueue
from bot.inference.core.sequence import Sequence

_MAX_OVERTAKEN = 16
"""So many may pass somebody for whom there is no room yet; then everybody waits."""
_NUM_CANDIDATES = 8


def _rank(sequence: Sequence) -> tuple[bool, int, int]:
    return sequence.is_background, sequence.ticket, sequence.id


class RequestQueue:
    """Whoever joined and was let in, or withdrew, says goodbye with ``leave`` in the end."""

    def __init__(self) -> None:
        self.num_overtaken = 0
        self._waiting: list[Sequence] = []
        self._tickets = FairQueue()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self._waiting)

    def join(self, sequence: Sequence) -> None:
        sequence.ticket = self._tickets.take(sequence.person)
        insort(self._waiting, sequence, key=_rank)

    def join_again(self, sequence: Sequence) -> None:
        """It was let in and lost its place: back to the head of its round."""
        sequence.ticket = min(sequence.ticket, self._tickets.round)
        insort(self._waiting, sequence, key=_rank)

    def withdraw(self, sequence: Sequence) -> None:
        self._waiting.remove(sequence)

    def leave(self, sequence: Sequence) -> None:
        self._tickets.leave(sequence.person)

    def admit_first(
        self, may_run: Callable[[Sequence], bool], admit: Callable[[Sequence], bool]
    ) -> Sequence | None:
        """Whom ``admit`` gave a place: the first, or one that needs less than who is before it."""
        passed: list[Sequence] = []
        for sequence in islice(self._waiting, _NUM_CANDIDATES):
            if not may_run(sequence):
                return None
            if admit(sequence):
                self._pass(sequence, passed)
                return sequence
            if sequence.num_overtaken >= _MAX_OVERTAKEN:
                return None
            passed.append(sequence)
        return None

    def _pass(self, sequence: Sequence, passed: list[Sequence]) -> None:
        self._waiting.remove(sequence)
        self._tickets.serve(sequence.ticket)
        for other in passed:
            other.num_overtaken += 1
        self.num_overtaken += len(passed)
