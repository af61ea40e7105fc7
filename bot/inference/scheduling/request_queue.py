"""The queue of waiting sequences, in the order of admission. Pure.

It is fair to people (see FairQueue), and background work comes last.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from operator import attrgetter

from bot.fair_queue import FairQueue
from bot.inference.core.sequence import Sequence

_RANK = attrgetter("is_background", "ticket", "id")


class RequestQueue:
    """Every sequence that joined needs one ``leave`` when it is finished."""

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
        insort(self._waiting, sequence, key=_RANK)

    def join_again(self, sequence: Sequence) -> None:
        """The sequence was admitted and lost its slot: it goes to the head of its round."""
        sequence.ticket = min(sequence.ticket, self._tickets.round)
        insort(self._waiting, sequence, key=_RANK)

    def admit(self, sequence: Sequence, overtaken: Iterable[Sequence]) -> None:
        """Remove the sequence, which is admitted before those in ``overtaken``."""
        self._waiting.remove(sequence)
        self._tickets.serve(sequence.ticket)
        for other in overtaken:
            other.num_overtaken += 1
            self.num_overtaken += 1

    def withdraw(self, sequence: Sequence) -> None:
        """Remove the sequence, which will not be admitted."""
        self._waiting.remove(sequence)

    def leave(self, sequence: Sequence) -> None:
        self._tickets.leave(sequence.person)
