"""One writer and some readers on one file.

Every write goes through one task, which commits all that wait in one short transaction:
under load one commit carries many writes. A caller that is cancelled leaves only its own
waiting behind; the write is done all the same, and the lock is never left held.

A transaction is one visit to a worker thread. SQLAlchemy's asyncio engine makes one for
every statement, nine to thirty for a turn, each of which waits for a core while the model
has them all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from bot.errors import StorageError
from bot.history.engines import NUM_READERS, Engines
from bot.history.failures import at_work
from bot.history.upkeep import truncate_log

logger = logging.getLogger(__name__)

T = TypeVar("T")
_MAX_BATCH = 64
_CLOSED = "The history is closed, since Parley is stopping."


@dataclass(frozen=True, slots=True)
class _Write:
    """``work`` may run twice (see ``Database._commit``): it changes nothing but the database."""

    work: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    erases: bool

    def settle(self, outcome: Any) -> None:
        if self.done.done():
            return
        if isinstance(outcome, BaseException):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


class Database:
    def __init__(self, engines: Engines) -> None:
        self._path = engines.path
        self.is_in_place = engines.is_in_place
        self._writing = engines.writing
        self._reading = engines.reading
        self._waiting: asyncio.Queue[_Write | None] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write_all(), name="history writer")
        self._write_worker = ThreadPoolExecutor(1, "parley-writer")
        self._read_workers = ThreadPoolExecutor(NUM_READERS, "parley-reader")
        self._is_closing = False
        self._has_remains = False

    @property
    def path(self) -> Path:
        return self._path

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction; it is committed when this returns."""
        return await self._submit(work, erases=False)

    async def erase(self, work: Callable[[Connection], T]) -> T:
        """A write after which nothing of what it deleted is left, in the log neither."""
        return await self._submit(work, erases=True)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on a snapshot of what is committed, without waiting for the writer."""
        self._refuse_when_closed()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_workers, self._run, self._reading, work)

    async def close(self) -> None:
        """Commit what waits, then let go of the file."""
        if not self._is_closing:
            self._is_closing = True
            self._waiting.put_nowait(None)
        await asyncio.wait({self._writer})
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        """Blocking: what is being read is read to its end."""
        self._read_workers.shutdown()
        self._write_worker.shutdown()
        self._reading.dispose()
        self._writing.dispose()

    async def _submit(self, work: Callable[[Connection], T], *, erases: bool) -> T:
        self._refuse_when_closed()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait(_Write(work, done, erases))
        return await done

    def _refuse_when_closed(self) -> None:
        if self._is_closing or self._writer.done():
            raise StorageError(_CLOSED)

    def _run(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        """One transaction, for a worker thread. What failed is told to the log here."""
        try:
            with at_work(self._path), engine.begin() as connection:
                return work(connection)
        except StorageError as error:
            logger.error("%s", error.detail)
            raise

    async def _write_all(self) -> None:
        batch: list[_Write] = []
        try:
            while batch := await self._next_batch():
                outcomes = await self._commit(batch)
                await self._clear_log(batch)
                for write, outcome in zip(batch, outcomes, strict=True):
                    write.settle(outcome)
        finally:
            self._disappoint(batch)

    def _disappoint(self, batch: list[_Write]) -> None:
        """The writer was cancelled from outside: nobody shall wait for it for ever.

        The worker may be at work on ``batch`` still, and will commit it.
        """
        disappointed: list[_Write | None] = [*batch]
        while not self._waiting.empty():
            disappointed.append(self._waiting.get_nowait())
        for write in disappointed:
            if write is not None:
                write.settle(StorageError(_CLOSED))

    async def _next_batch(self) -> list[_Write]:
        """All that wait, at least one; none when the last was taken and we are closing."""
        batch: list[_Write] = []
        while len(batch) < _MAX_BATCH and not (batch and self._waiting.empty()):
            write = await self._waiting.get()
            if write is None:
                self._waiting.put_nowait(None)
                break
            batch.append(write)
        return batch

    async def _commit(self, batch: list[_Write]) -> list[Any]:
        """Commit the batch as a whole; if it fails, each write alone, so that one fails alone.

        Results, or the exceptions in their places.
        """
        results = (await asyncio.gather(self._transact(batch), return_exceptions=True))[0]
        if not isinstance(results, BaseException):
            return results
        if len(batch) == 1:
            return [results]
        return [outcome for write in batch for outcome in await self._commit([write])]

    async def _transact(self, batch: list[_Write]) -> list[Any]:
        return await self._in_writer(
            self._run, self._writing, lambda connection: [w.work(connection) for w in batch]
        )

    async def _clear_log(self, batch: list[_Write]) -> None:
        """Where a reader is in the way, it is tried again after the next batch."""
        self._has_remains |= any(write.erases for write in batch)
        if self._has_remains:
            self._has_remains = not await self._in_writer(truncate_log, self._path)

    async def _in_writer(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._write_worker, function, *arguments)
