"""Turns that a process left unfinished, taken up by the next one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot.errors import DataError, StorageError
from bot.stores import Turn
from bot.tasks import TaskSet
from bot.turns.display import INTERRUPTED, STOPPED, TRIED_TWICE, Ending
from bot.turns.registry import NewTurn, ThreadQueues
from bot.turns.services import Services
from bot.turns.spoken import asks

MAX_ATTEMPTS = 2


class Recovery:
    """Runs unfinished turns one at a time, since one of them may have killed the process.

    ``new_turns``: what those of each adapter become. All others become ``lost``, and are
    interrupted: nobody can be reached there, or whoever waited has gone with the connection.
    """

    def __init__(
        self,
        services: Services,
        new_turns: Mapping[str, NewTurn],
        lost: NewTurn,
        queues: ThreadQueues,
    ) -> None:
        self._services = services
        self._new_turns = new_turns
        self._lost = lost
        self._queues = queues
        self.tasks = TaskSet(services.clock)

    async def start(self) -> None:
        """Returns once every turn has its place, so that new questions queue behind.

        Raises ``DataError``.
        """
        for turn in await self._unfinished():
            await self._sort(turn)
        self.tasks.spawn(self._release_all())

    async def _unfinished(self) -> list[Turn]:
        try:
            return await self._services.progress.unfinished()
        except StorageError as error:
            raise DataError(error.detail) from error

    async def _sort(self, turn: Turn) -> None:
        if (new_turn := self._new_turns.get(turn.place.adapter)) is None:
            await self._lost(turn).finish(INTERRUPTED)
            return
        live = new_turn(turn)
        if ending := self._verdict(turn):
            self.tasks.spawn(live.conclude(ending))
        else:
            self._queues.hold(live)

    def _verdict(self, turn: Turn) -> Ending | None:
        """The ending of a turn that is not to run again; else None."""
        if turn.place.adapter in self._services.adapters and not asks(turn):
            return STOPPED  # its message was edited into a command
        if turn.attempts >= MAX_ATTEMPTS:
            return TRIED_TWICE
        age = self._services.clock.now() - turn.accepted_at
        is_old = age > timedelta(seconds=self._services.rules.recover_seconds)
        return INTERRUPTED if is_old else None

    async def _release_all(self) -> None:
        while live := self._queues.release_next():
            await live.ended.wait()
