"""What an adapter does without anybody waiting for it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)

_MAX_REMEMBERED = 2_000


class Errands:
    """Errors are logged. ``close`` ends what is under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: OrderedDict[str, None] = OrderedDict()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def spawn_once(self, event_id: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Nothing where a delivery of this event was among the newest two thousand."""
        if event_id and event_id in self._begun:
            return
        self._begun[event_id] = None
        if len(self._begun) > _MAX_REMEMBERED:
            self._begun.popitem(last=False)
        self.spawn(work())

    async def close(self) -> None:
        for task in (tasks := tuple(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("what nobody waits for has failed", exc_info=error)
