"""Whose turn it is. Pure. Fair to people, not to requests (start-time fair queueing)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Person:
    """``num_here``: requests that wait or are being answered."""

    last_ticket: int = -1
    num_here: int = 0


class Tickets:
    """A person's n-th request stands in the n-th round, and rounds go by arrival.

    ``round`` is the latest that was served. Whoever took a ticket leaves in the end.
    """

    def __init__(self) -> None:
        self.round = 0
        self._people: dict[str, _Person] = {}

    def take(self, name: str) -> int:
        person = self._people.setdefault(name, _Person())
        person.last_ticket = max(self.round, person.last_ticket + 1)
        person.num_here += 1
        return person.last_ticket

    def serve(self, ticket: int) -> None:
        self.round = max(self.round, ticket)

    def leave(self, name: str) -> None:
        self._people[name].num_here -= 1
        if not self._people[name].num_here:
            del self._people[name]
