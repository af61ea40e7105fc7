"""Who waits for the servers. Pure. Fair to people, as the scheduler is: see Tickets."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.inference.scheduling.request_queue import FairQueue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Place(Generic[T]):
    ticket: int
    number: int
    who: T


class FairLine(Generic[T]):
    """Iterates over who waits, in the order in which ``pop`` gives them.

    Whoever was added leaves in the end, after ``pop`` or instead of it.
    """

    def __init__(self) -> None:
        self._places: list[_Place[T]] = []
        self._tickets = FairQueue()
        self._num_added = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T]:
        return (place.who for place in self._places)

    def add(self, name: str, who: T) -> None:
        self._num_added += 1
        place = _Place(self._tickets.take(name), self._num_added, who)
        insort(self._places, place, key=lambda p: (p.ticket, p.number))

    def pop(self) -> T:
        place = self._places.pop(0)
        self._tickets.serve(place.ticket)
        return place.who

    def leave(self, name: str, who: T) -> None:
        self._places = [place for place in self._places if place.who is not who]
        self._tickets.leave(name)
