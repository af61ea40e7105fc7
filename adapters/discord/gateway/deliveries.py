"""Deliveries: gateway events in order within a channel, channels in parallel."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from bot.errors import ParleyError

logger = logging.getLogger(__name__)

Work = Coroutine[Any, Any, None]

_MAX_WAITING = 5_000
_MAX_TURNING_AWAY = 100


class Deliveries:
    """A delivery that fails does not hold up the next.

    At most ``_MAX_WAITING`` wait. Further ones are turned away, which tells the person; that
    too has a limit, beyond which they are dropped.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turning_away: set[asyncio.Task[None]] = set()
        self._num_waiting = 0

    def put(self, channel: str, work: Work, turn_away: Callable[[], Work]) -> None:
        """``turn_away`` starts at once in place of ``work`` where too many wait."""
        if self._num_waiting >= _MAX_WAITING:
            work.close()
            self._turn_away(turn_away)
            return
        self._num_waiting += 1
        if channel in self._waiting:
            self._waiting[channel].append(work)
        else:
            self._waiting[channel] = deque([work])
            self._spawn(self._drain(channel))

    def start(self, work: Work) -> None:
        """Start now, ahead of anything that its channel waits for."""
        self._spawn(work)

    def _turn_away(self, turn_away: Callable[[], Work]) -> None:
        logger.error("a delivery was turned away: %s are waiting", self._num_waiting)
        if len(self._turning_away) < _MAX_TURNING_AWAY:
            task = self._spawn(turn_away())
            self._turning_away.add(task)
            task.add_done_callback(self._turning_away.discard)

    async def close(self) -> None:
        for task in (tasks := tuple(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for work in (work for waiting in self._waiting.values() for work in waiting):
            work.close()
        self._waiting.clear()
        self._num_waiting = 0

    def _spawn(self, work: Work) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def _drain(self, channel: str) -> None:
        waiting = self._waiting[channel]
        while waiting:
            self._num_waiting -= 1
            task = asyncio.create_task(waiting.popleft())
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
            _log_failure(task)
        del self._waiting[channel]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        _log_failure(task)


def _log_failure(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, ParleyError):
        logger.warning("a delivery could not be taken: %s", error)
    elif error is not None:
        logger.error("a delivery failed", exc_info=error)
