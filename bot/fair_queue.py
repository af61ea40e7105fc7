"""In which order requests are served. Pure. Fair to people, not to requests.

This is start-time fair queueing: it orders the turns that wait for the engine, and the
requests that wait in it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Person:
    """``num_here``: requests that wait or are being answered."""

    last_ticket: int = -1
    num_here: int = 0


class FairQueue:
    """A person's n-th request stands in the n-th round, and rounds go by arrival.

    ``round`` is the latest that was served. Each ``take`` is paired with a ``leave``.
    """

    def __init__(self) -> None:
        self.round = 0
        self._people: dict[str, _Person] = {}

    def take(self, name: str) -> int:
        """The ticket of the person's next request: the number of its round."""
        person = self._people.setdefault(name, _Person())
        person.last_ticket = max(self.round, person.last_ticket + 1)
        person.num_here += 1
        return person.last_ticket

    def serve(self, ticket: int) -> None:
        """A request with this ticket is served now."""
        self.round = max(self.round, ticket)

    def leave(self, name: str) -> None:
        """One request of the person has ended."""
        self._people[name].num_here -= 1
        if not self._people[name].num_here:
            del self._people[name]
