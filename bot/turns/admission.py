"""Which turn goes to the engine next, while more of them wait than its queue takes."""

from __future__ import annotations

import asyncio
from bisect import bisect, insort
from collections.abc import Callable

from bot.fair_queue import FairQueue
from bot.ports import Clock
from bot.tasks import TaskSet

_MIN_RETRY_SECONDS = 1.0


class Admission:
    """One turn's place, from the front of its thread to the end of its reply.

    ``admitted`` is set while the turn may try the engine. ``engine_place``: its place in the
    engine's queue; 0 while it was not told. ``shown_place``: what ``show`` got last, 0 for nothing.
    """

    def __init__(self, person: str, rank: tuple[int, int], show: Callable[[int], None]) -> None:
        self.person = person
        self.rank = rank
        self.admitted = asyncio.Event()
        self.engine_place = 0
        self.shown_place = 0
        self._show = show

    def show(self, place: int) -> None:
        if place != self.shown_place:
            self.shown_place = place
            self._show(place)


def _rank(admission: Admission) -> tuple[int, int]:
    return admission.rank


class AdmissionQueue:
    """Fair to people, then in the order of arrival; as long as there are questions.

    The engine is tried by as many turns as it has room for. Until it refuses one that is any
    number; then it is ``_limit``, the length of its queue at that time, as far as turns know
    it. A turn that leaves that queue makes room for one more. Where something else may have
    made room (a program ended, or the time that the engine asked for is over), one turn tries.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = FairQueue()
        self._num_joined = 0
        self._waiting: list[Admission] = []
        self._trying: set[Admission] = set()
        self._in_engine: set[Admission] = set()
        self._limit: int | None = None
        self.tasks = TaskSet(clock)

    def join(self, person: str, show: Callable[[int], None]) -> Admission:
        """``show`` gets the place as long as the turn is not admitted. Paired with ``leave``."""
        self._num_joined += 1
        admission = Admission(person, (self._order.take(person), self._num_joined), show)
        insort(self._waiting, admission, key=_rank)
        self._admit()
        return admission

    def refuse(self, admission: Admission, retry_after: float) -> None:
        """The engine's queue was full: the turn waits at its place again."""
        self._trying.discard(admission)
        admission.admitted.clear()
        insort(self._waiting, admission, key=_rank)
        self._limit = self._engine_length
        if not self.tasks:
            self.tasks.spawn(self._retry(max(retry_after, _MIN_RETRY_SECONDS)))
        self._admit()

    def accept(self, admission: Admission) -> None:
        """The turn stands in the engine's queue now."""
        self._trying.discard(admission)
        admission.engine_place = 0
        self._in_engine.add(admission)
        self._learn(self._engine_length)

    def note(self, admission: Admission, engine_place: int) -> None:
        """The engine told the turn its place."""
        admission.engine_place = engine_place
        self._learn(engine_place)

    def begin(self, admission: Admission) -> None:
        """The engine answers the turn, or has ended it."""
        if admission in self._in_engine:
            self._in_engine.discard(admission)
            self._order.serve(admission.rank[0])
            self._admit()

    def leave(self, admission: Admission) -> None:
        """The turn needs the engine no more, wherever it stood."""
        if admission in self._waiting:
            self._waiting.remove(admission)
        self._trying.discard(admission)
        self._in_engine.discard(admission)
        self._order.leave(admission.person)
        self._admit()

    def make_room(self) -> None:
        """The engine may take one more."""
        if self._limit is not None:
            self._limit += 1
            self._admit()

    @property
    def _engine_length(self) -> int:
        places = [each.engine_place for each in self._in_engine]
        return max(places, default=0) + places.count(0)

    def _has_room(self) -> bool:
        return self._limit is None or self._engine_length + len(self._trying) < self._limit

    def _learn(self, engine_length: int) -> None:
        """The engine's queue was that long, so it may be."""
        if self._limit is not None:
            self._limit = max(self._limit, engine_length)
            if self._has_room():
                self._admit()

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            admission = self._waiting.pop(0)
            self._trying.add(admission)
            admission.shown_place = 0
            admission.admitted.set()
        if self._waiting:
            self._show_places()
        else:
            self._limit = None

    def _show_places(self) -> None:
        """One of those in the engine's queue begins before anybody who waits here."""
        queued = (each for each in self._in_engine if each.engine_place)
        ranks = sorted(map(_rank, (*self._trying, *queued)))
        for index, admission in enumerate(self._waiting):
            num_ahead = max(bisect(ranks, admission.rank), min(1, len(ranks)))
            admission.show(num_ahead + index + 1)

    async def _retry(self, seconds: float) -> None:
        """Nobody can tell when a program leaves the engine's queue, so time does."""
        while self._waiting:
            await self._clock.sleep(seconds)
            self.make_room()
