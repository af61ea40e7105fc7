"""Who waits for the servers. Pure. Fair to people, not to requests, as the scheduler is:
a person's n-th request stands in the n-th round, and rounds go by arrival.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Place(Generic[T]):
    ticket: int
    number: int
    who: T


@dataclass(slots=True)
class _Person:
    """``num_here``: requests that wait or are being answered."""

    last_ticket: int = -1
    num_here: int = 0


class FairLine(Generic[T]):
    """Iterates over who waits, in the order in which ``pop`` gives them.

    Whoever was added leaves in the end, after ``pop`` or instead of it.
    """

    def __init__(self) -> None:
        self._places: list[_Place[T]] = []
        self._people: dict[str, _Person] = {}
        self._round = 0
        self._num_added = 0

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T]:
        return (place.who for place in self._places)

    def add(self, name: str, who: T) -> None:
        person = self._people.setdefault(name, _Person())
        person.last_ticket = max(self._round, person.last_ticket + 1)
        person.num_here += 1
        self._num_added += 1
        place = _Place(person.last_ticket, self._num_added, who)
        insort(self._places, place, key=lambda p: (p.ticket, p.number))

    def pop(self) -> T:
        place = self._places.pop(0)
        self._round = max(self._round, place.ticket)
        return place.who

    def leave(self, name: str, who: T) -> None:
        self._places = [place for place in self._places if place.who is not who]
        self._people[name].num_here -= 1
        if not self._people[name].num_here:
            del self._people[name]
