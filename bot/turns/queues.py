"""The order in which turns try the engine, and in which events of a message are handled."""

from __future__ import annotations

import asyncio
from bisect import bisect, insort
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from operator import attrgetter

from bot.fair_queue import FairQueue
from bot.ports import Clock
from bot.tasks import TaskSet
from bot.types import Place

_MIN_RETRY_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class Admission:
    """One turn's place, from the front of its thread to the end of its reply.

    ``show`` gets the place in line while it is not admitted; ``shown_place``: the last one.
    ``rank``: its ticket, and when it joined. ``admitted`` is set while the turn may try the
    engine. ``engine_place``: its place in the engine's queue; 0 while it was not told.
    """

    person: str
    show: Callable[[int], None]
    rank: tuple[int, int] = (0, 0)
    has_joined: bool = False
    admitted: asyncio.Event = field(default_factory=asyncio.Event)
    engine_place: int = 0
    shown_place: int = 0


class AdmissionQueue:
    """Fair to people, then in the order of arrival; as long as there are questions.

    Only as many turns try the engine as it has room for. Until it refuses one, that is any
    number. Then ``_limit`` is the length of its queue, as far as turns know it, and each turn
    that leaves that queue admits the next one. One more turn tries whenever something else may
    have made room: a program has ended, or the engine's ``retry_after`` is over.
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

    def join(self, admission: Admission) -> None:
        """Paired with ``leave``."""
        self._num_joined += 1
        admission.rank = (self._order.take(admission.person), self._num_joined)
        admission.has_joined = True
        admission.admitted.clear()
        self._wait(admission)

    def step_aside(self, admission: Admission) -> None:
        """The turn reads something before it tries the engine; meanwhile others may."""
        if admission in self._trying:
            self._trying.discard(admission)
            self._admit()

    def refuse(self, admission: Admission, retry_after: float) -> None:
        """The engine's queue was full: the turn waits at its place again."""
        self._trying.discard(admission)
        admission.admitted.clear()
        self._limit = self._engine_length
        if not self.tasks:
            self.tasks.spawn(self._retry(max(retry_after, _MIN_RETRY_SECONDS)))
        self._wait(admission)

    def accept(self, admission: Admission) -> None:
        """The turn stands in the engine's queue now."""
        self._trying.discard(admission)
        admission.engine_place = 0
        self._in_engine.add(admission)

    def note(self, admission: Admission, engine_place: int) -> None:
        """The engine told the turn its place in its queue, which may be that long then."""
        has_moved_up = engine_place < admission.engine_place
        admission.engine_place = engine_place
        if self._limit is not None:
            self._limit = max(self._limit, engine_place)
            if has_moved_up and self._has_room():
                self._admit()

    def begin(self, admission: Admission) -> None:
        """The engine answers the turn, or has ended it."""
        if admission in self._in_engine:
            self._in_engine.discard(admission)
            self._order.serve(admission.rank[0])
            self._admit()

    def leave(self, admission: Admission) -> None:
        """The turn needs the engine no more, wherever it stood; harmless if it never joined."""
        if not admission.has_joined:
            return
        admission.has_joined = False
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

    def _wait(self, admission: Admission) -> None:
        admission.shown_place = 0
        insort(self._waiting, admission, key=attrgetter("rank"))
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            admission = self._waiting.pop(0)
            self._trying.add(admission)
            admission.admitted.set()
        if self._waiting:
            self._show_places()
        else:
            self._limit = None

    def _show_places(self) -> None:
        """One of those in the engine's queue begins before anybody who waits here."""
        queued = (each for each in self._in_engine if each.engine_place)
        ranks = sorted(each.rank for each in (*self._trying, *queued))
        for index, admission in enumerate(self._waiting):
            num_ahead = max(bisect(ranks, admission.rank), min(1, len(ranks)))
            place = num_ahead + index + 1
            if place != admission.shown_place:
                admission.shown_place = place
                admission.show(place)

    async def _retry(self, seconds: float) -> None:
        """Nobody can tell when a program leaves the engine's queue, so time does."""
        while self._waiting:
            await self._clock.sleep(seconds)
            self.make_room()


def key_of(place: Place, message_id: str) -> str:
    """Message ids are unique within a channel."""
    return f"{place.channel_form}/{message_id}"


class MessageLocks:
    """One lock per message, kept only while somebody holds or awaits it."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def hold(self, place: Place, message_id: str) -> AsyncIterator[None]:
        key = key_of(place, message_id)
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]
