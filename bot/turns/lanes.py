"""One turn at a time per thread, in order; any number of threads at once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

from bot.ports import Clock
from bot.tasks import TaskSet
from bot.turns.live import LiveTurn
from bot.types import Place


class Lanes:
    """Every turn that is not finished: held (recovered), waiting behind another, or begun.

    Whoever waits has a task already, which shows so; a turn that was given up ends without
    waiting its turn.
    """

    def __init__(
        self,
        run: Callable[[LiveTurn], Coroutine[Any, Any, None]],
        ended: Callable[[LiveTurn], None],
        clock: Clock,
    ) -> None:
        self._run = run
        self._ended = ended
        self._live: dict[str, LiveTurn] = {}
        self._held: list[LiveTurn] = []
        self._waiting: dict[Place, deque[LiveTurn]] = {}
        self._begun: dict[Place, LiveTurn] = {}
        self._per_channel: Counter[str] = Counter()
        self._paused = False
        self.tasks = TaskSet(clock)

    def find(self, turn_id: str) -> LiveTurn | None:
        return self._live.get(turn_id)

    def of_thread(self, place: Place) -> list[LiveTurn]:
        """The thread's unfinished turns, oldest first."""
        live = (each for each in self._live.values() if each.place == place)
        return sorted(live, key=lambda each: each.turn.number)

    def of_channel(self, place: Place) -> list[LiveTurn]:
        """The unfinished turns of all threads of a channel, in the order of their acceptance."""
        here = place.channel_form
        return [each for each in self._live.values() if each.place.channel_form == here]

    def num_in_channel(self, place: Place) -> int:
        return self._per_channel[place.channel_form]

    @property
    def begun(self) -> list[LiveTurn]:
        return list(self._begun.values())

    @property
    def num_begun(self) -> int:
        return len(self._begun)

    @property
    def num_waiting(self) -> int:
        return len(self._live) - len(self._begun)

    @property
    def is_moving(self) -> bool:
        """Whether anything goes on by itself: what waits in a pause does not."""
        return bool(self._begun) or any(each.is_given_up for each in self._live.values())

    def add(self, live: LiveTurn) -> None:
        """Begin it, or let it wait its turn; what is held of its thread goes first."""
        self._register(live)
        self._release(live.place)
        self._enqueue(live)

    def hold(self, live: LiveTurn) -> None:
        """Keep it until ``release_next``, or until its thread goes on."""
        self._register(live)
        self._held.append(live)

    def release_next(self) -> LiveTurn | None:
        """Let the oldest held turn go; None if there is none."""
        if not self._held or self._paused:
            return None
        live = self._held.pop(0)
        self._enqueue(live)
        return live

    def has_begun(self, live: LiveTurn) -> bool:
        return self._begun.get(live.place) is live

    def let_pass(self, live: LiveTurn) -> None:
        """It was given up: it ends at once, whatever its thread waits for."""
        if live in self._held:
            self._held.remove(live)
            self.tasks.spawn(self._drive(live))
        elif live in self._waiting.get(live.place, ()):
            self._waiting[live.place].remove(live)
            self._move_up(live.place)

    def pause(self) -> None:
        """Nothing begins any more; what has begun goes on."""
        self._paused = True

    def _register(self, live: LiveTurn) -> None:
        self._live[live.id] = live
        self._per_channel[live.place.channel_form] += 1

    def _release(self, place: Place) -> None:
        for live in [each for each in self._held if each.place == place]:
            self._held.remove(live)
            self._enqueue(live)

    def _enqueue(self, live: LiveTurn) -> None:
        self._waiting.setdefault(live.place, deque()).append(live)
        self._move_up(live.place)
        self.tasks.spawn(self._drive(live))

    def _move_up(self, place: Place) -> None:
        waiting = self._waiting.get(place, deque())
        if waiting and place not in self._begun and not self._paused:
            live = self._begun[place] = waiting.popleft()
            live.may_go_on.set()
        line = [each for each in (self._begun.get(place), *waiting) if each]
        for num_ahead, (ahead, live) in enumerate(pairwise(line), start=1):
            live.wait_behind(ahead, num_ahead)
        if not waiting:
            self._waiting.pop(place, None)

    async def _drive(self, live: LiveTurn) -> None:
        try:
            await self._run(live)
        finally:
            self._finished(live)

    def _finished(self, live: LiveTurn) -> None:
        """Without a pause after the run, so that nobody halts a turn that has ended."""
        if self.has_begun(live):
            del self._begun[live.place]
        elif live in self._waiting.get(live.place, ()):
            self._waiting[live.place].remove(live)
        self._leave(live)
        self._move_up(live.place)

    def _leave(self, live: LiveTurn) -> None:
        del self._live[live.id]
        channel = live.place.channel_form
        self._per_channel[channel] -= 1
        if not self._per_channel[channel]:
            del self._per_channel[channel]
        live.ended.set()
        self._ended(live)
