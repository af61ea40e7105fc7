"""Turns that a process left unfinished, taken up by the next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bot.errors import DataError, StorageError
from bot.stored import Owed, Turn
from bot.tasks import TaskSet
from bot.turns.display import INTERRUPTED, STOPPED, TRIED_TWICE, Ending
from bot.turns.notices import Notices
from bot.turns.registry import NewTurn, ThreadQueues
from bot.turns.services import Services
from bot.turns.spoken import asks
from bot.types import Command, UnpostedQuestion

MAX_ATTEMPTS = 2
TOO_LATE = "I was restarted before I could answer this; please ask again."

Answer = Callable[[Command | UnpostedQuestion], None]


class Recovery:
    """Runs unfinished turns one at a time, since one of them may have killed the process.

    ``new_turns``: what those of each adapter become. All others become ``lost``, and are
    interrupted: nobody can be reached there, or whoever waited has gone with the connection.
    ``answer``: begins to answer what was asked and is no turn yet.
    """

    def __init__(
        self,
        services: Services,
        new_turns: Mapping[str, NewTurn],
        lost: NewTurn,
        queues: ThreadQueues,
        answer: Answer,
        notices: Notices,
    ) -> None:
        self._services = services
        self._new_turns = new_turns
        self._lost = lost
        self._queues = queues
        self._answer = answer
        self._notices = notices
        self.tasks = TaskSet(services.clock)

    async def start(self) -> None:
        """Returns once every turn has its place, so that new questions queue behind.

        Raises ``DataError``.
        """
        try:
            unfinished = await self._services.progress.unfinished()
            owed = await self._services.deliveries.owed()
        except StorageError as error:
            raise DataError(error.detail) from error
        elsewhere = self._services.rules.elsewhere
        for turn in unfinished:
            if turn.place.adapter not in elsewhere:
                await self._sort(turn)
        for each in owed:
            if each.asked.place.adapter not in elsewhere:
                await self._take_up(each)
        self.tasks.spawn(self._release_all())

    async def _take_up(self, owed: Owed) -> None:
        if owed.asked.place.adapter not in self._services.adapters:
            await self._services.settle(owed.asked)
        elif self._is_old(owed.noted_at):
            self._notices.tell(owed.asked, TOO_LATE)
            await self._services.settle(owed.asked)
        else:
            self._answer(owed.asked)

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
        asked_at = turn.asked_again_at or turn.accepted_at
        return INTERRUPTED if self._is_old(asked_at) else None

    def _is_old(self, at: datetime) -> bool:
        age = self._services.clock.now() - at
        return age > timedelta(seconds=self._services.rules.recover_seconds)

    async def _release_all(self) -> None:
        while live := self._queues.release_next():
            await live.ended.wait()
