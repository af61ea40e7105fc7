"""Background tasks: kept alive, their errors logged, cancelled together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from bot.ports import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CLEAN_UP_SECONDS = 3.0
"""Time for a reply to finish the call that it is making; a platform may be out of reach."""


class TaskSet:
    """Unlike in a task group, a task that fails does not cancel the others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    async def cancel(self) -> None:
        """Cancel every task, and wait a few seconds for it to clean up."""
        while tasks := tuple(self._tasks):
            for task in tasks:
                task.cancel()
            await self._wait(tasks)

    async def _wait(self, tasks: tuple[asyncio.Task[None], ...]) -> None:
        limit = asyncio.ensure_future(self._clock.sleep(_CLEAN_UP_SECONDS))
        all_done = asyncio.ensure_future(asyncio.wait(tasks))
        await asyncio.wait((limit, all_done), return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        all_done.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a background task failed", exc_info=error)


async def unless(halted: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What comes of the work, or None if it is halted before: then it is cancelled."""
    working = asyncio.ensure_future(work)
    halting = asyncio.ensure_future(halted.wait())
    try:
        await asyncio.wait((working, halting), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        halting.cancel()
        working.cancel()
        await asyncio.wait((working, halting))
