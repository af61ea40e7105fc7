"""Deliveries: gateway events in order within a channel, channels in parallel."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any

from bot.errors import ParleyError

logger = logging.getLogger(__name__)

Work = Coroutine[Any, Any, None]

_MAX_WAITING = 5_000


class Deliveries:
    """A delivery that fails does not hold up the next."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._num_waiting = 0

    def put(self, channel: str, work: Work) -> None:
        if self._num_waiting >= _MAX_WAITING:
            logger.error("a delivery was dropped: %s are waiting", _MAX_WAITING)
            work.close()
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

    async def close(self) -> None:
        for task in (tasks := tuple(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for work in (work for waiting in self._waiting.values() for work in waiting):
            work.close()
        self._waiting.clear()
        self._num_waiting = 0

    def _spawn(self, work: Work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

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
