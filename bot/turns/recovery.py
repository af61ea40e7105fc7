"""What a process that ended left unfinished, taken up by the next one."""

from __future__ import annotations

from datetime import timedelta

from bot.errors import DataError, StorageError
from bot.tasks import TaskSet
from bot.turns.ending import INTERRUPTED, TRIED_TWICE, Ending
from bot.turns.lanes import Lanes
from bot.turns.live import LiveTurn
from bot.turns.parts import Parts
from bot.turns.turn import TurnRunner
from bot.types import Turn

MAX_ATTEMPTS = 2


class Recovery:
    """One at a time, since one of them may be what ended the process."""

    def __init__(self, parts: Parts, runner: TurnRunner, lanes: Lanes) -> None:
        self._parts = parts
        self._runner = runner
        self._lanes = lanes
        self.tasks = TaskSet(parts.clock)

    async def start(self) -> None:
        """Returns once every turn has its place, so that new questions line up behind.

        Raises ``DataError``.
        """
        for turn in await self._unfinished():
            await self._sort(turn)
        self.tasks.spawn(self._release_all())

    async def _unfinished(self) -> list[Turn]:
        try:
            return await self._parts.store.unfinished()
        except StorageError as error:
            raise DataError(error.detail) from error

    async def _sort(self, turn: Turn) -> None:
        live = LiveTurn(turn, search_first=True)
        if turn.place.adapter not in self._parts.adapters:
            await self._runner.closing.finish(live, INTERRUPTED)
        elif ending := self._verdict(turn):
            self.tasks.spawn(self._runner.conclude(live, ending))
        else:
            self._lanes.hold(live)

    def _verdict(self, turn: Turn) -> Ending | None:
        """How a turn ends that is not to run again."""
        if turn.attempts >= MAX_ATTEMPTS:
            return TRIED_TWICE
        age = self._parts.clock.now() - turn.accepted_at
        is_old = age > timedelta(seconds=self._parts.rules.recover_seconds)
        return INTERRUPTED if is_old else None

    async def _release_all(self) -> None:
        while live := self._lanes.release_next():
            await live.ended.wait()
