"""One writer and some readers on one SQLite file, and SQLite's failures as ours.

Every write goes through one task, which commits all that wait in one short transaction:
under load one commit carries many writes. A caller that is cancelled only stops waiting: its
write is committed all the same, and the lock is never left held.

A transaction is one visit to a worker thread. SQLAlchemy's asyncio engine makes one for
every statement, nine to thirty for a turn, each of which waits for a core while the model
has them all.

The driver begins no transactions by itself: with its deferred ones, two that read and then
write get the same number. Each engine issues the ``BEGIN`` of its transactions itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from bot.errors import DataError, StorageError, StorageFull
from bot.history.remains import PageGaps, truncate_log

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")
_MAX_BATCH = 64
_WIPE_SOON, _WIPE_AGAIN = 0.05, 1.0
_CLOSED = "The history is closed, since Parley is stopping."

# A quota that is used up, and a shared-memory file that cannot grow, come as I/O errors.
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
_FULL_SENTENCE = "Nothing could be stored: the disk of {path} is full."

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_PROTOCOL: "{path} is locked by another program; stop it and try again.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database; move it away, or set PARLEY_DATABASE_URL.",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged; put a backup in its place.",
    sqlite3.SQLITE_READONLY: "{path} cannot be written; give Parley's user the right to.",
    sqlite3.SQLITE_PERM: "{path} cannot be written; give Parley's user the right to.",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened; check that its folder exists and is ours.",
    sqlite3.SQLITE_IOERR: "The disk failed at {path}; check the disk.",
    sqlite3.SQLITE_NOMEM: "There was no memory left to use {path}; give Parley more.",
}


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Raise ``DataError`` where the disk or file is to blame: at the start, and in commands."""
    try:
        with at_work(path):
            yield
    except StorageFull as error:
        raise DataError(f"{error.detail} Make room and start again.") from error
    except StorageError as error:
        raise DataError(error.detail) from error


@contextmanager
def at_work(path: Path) -> Iterator[None]:
    """Raise ``StorageError`` (of a full disk ``StorageFull``) where the disk or file is to blame.

    An error that only a defect of ours can cause (a broken constraint, wrong SQL) passes
    unchanged.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        own = error.orig if isinstance(error, DBAPIError) else error
        if (ours := _translate(own, path)) is None:
            raise
        raise ours from error


def _translate(error: BaseException | None, path: Path) -> StorageError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code in _FULL:
        return StorageFull(_FULL_SENTENCE.format(path=path))
    sentence = _SENTENCES.get(code & 0xFF)
    return None if sentence is None else StorageError(sentence.format(path=path))


Begin = Literal["BEGIN IMMEDIATE", "BEGIN"]
NUM_READERS = 4
BUSY_TIMEOUT = 5.0
"""Seconds to wait for a lock that another program holds."""

# NORMAL in WAL mode: what is committed survives the process (``kill -9``), since it is with
# the operating system; a power cut may take the last commits, and never the file.
_PRAGMAS = ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL", "secure_delete=ON")


@dataclass(frozen=True, slots=True)
class Engines:
    """``writing`` has one connection; ``reading`` has ``NUM_READERS``, which cannot write.

    ``opened`` is the file that was at ``path`` when they were made. ``busy_timeout``: seconds.
    """

    path: Path
    opened: os.stat_result
    writing: Engine
    reading: Engine
    busy_timeout: float

    def is_in_place(self) -> bool:
        """Whether ``path`` is still that file; SQLite keeps using one that was moved. Blocking."""
        try:
            return os.path.samestat(self.path.stat(), self.opened)
        except OSError:
            return False


def running_engines(path: Path, busy_timeout: float = BUSY_TIMEOUT) -> Engines:
    """Blocking: looks at the file system, as making an engine does."""
    readers = (*_PRAGMAS, "query_only=ON")
    return Engines(
        path=path,
        opened=path.stat(),
        writing=_engine(
            path, busy_timeout, "BEGIN IMMEDIATE", _PRAGMAS, pool_size=1, max_overflow=0
        ),
        reading=_engine(
            path, busy_timeout, "BEGIN", readers, pool_size=NUM_READERS, max_overflow=0
        ),
        busy_timeout=busy_timeout,
    )


def migrating_engine(path: Path, busy_timeout: float) -> Engine:
    return _engine(path, busy_timeout, "BEGIN IMMEDIATE", _PRAGMAS, poolclass=NullPool)


def _engine(
    path: Path, busy_timeout: float, begin: Begin, pragmas: tuple[str, ...], **pool: Any
) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": busy_timeout, "isolation_level": None},
        **pool,
    )

    def set_pragmas(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", set_pragmas)
    event.listen(engine, "begin", start)
    return engine


@dataclass(frozen=True, slots=True)
class _Write:
    """``work`` may run twice (see ``Database._commit``): it changes nothing but the database."""

    work: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    erases: bool
    done: asyncio.Future[Any]

    def settle(self, outcome: Any) -> None:
        if self.done.done():
            return
        if isinstance(outcome, BaseException):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


class Database:
    def __init__(self, engines: Engines) -> None:
        self.path = engines.path
        self.is_in_place = engines.is_in_place
        self._writing = engines.writing
        self._reading = engines.reading
        self._waiting: asyncio.Queue[_Write | None] = asyncio.Queue()
        self._writer = asyncio.create_task(self._write_all(), name="history writer")
        self._write_worker = ThreadPoolExecutor(1, "parley-writer")
        self._read_workers = ThreadPoolExecutor(NUM_READERS, "parley-reader")
        self._is_closing = False
        self._has_remains = False
        self._erased: list[tuple[_Write, Any, float]] = []  # committed; and until when they wait
        self._gaps = PageGaps(engines.path)
        self._patience = engines.busy_timeout

    async def write(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work`` in a transaction; it is committed when this returns."""
        return await self._submit(work, args, kwargs, erases=False)

    async def erase(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """A write after which nothing of what it deleted is left in the file and its log.

        Only where another program reads for seconds, the rest goes once that ends.
        """
        return await self._submit(work, args, kwargs, erases=True)

    async def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``work`` on a snapshot of what is committed, without waiting for the writer."""
        self._refuse_when_closed()
        run = partial(self._run, self._reading, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._read_workers, run)

    async def close(self) -> None:
        """Commit the waiting writes, then close the file."""
        if not self._is_closing:
            self._is_closing = True
            self._waiting.put_nowait(None)
        await asyncio.wait({self._writer})
        await asyncio.to_thread(self._dispose)

    def _dispose(self) -> None:
        """Blocking: waits until the reads under way have ended."""
        self._read_workers.shutdown()
        self._write_worker.shutdown()
        self._reading.dispose()
        self._writing.dispose()
        self._gaps.close()

    async def _submit(
        self,
        work: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        erases: bool,
    ) -> T:
        self._refuse_when_closed()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait(_Write(work, args, kwargs, erases, done))
        return await done

    def _refuse_when_closed(self) -> None:
        if self._is_closing or self._writer.done():
            raise StorageError(_CLOSED)

    def _run(self, engine: Engine, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """One transaction. Blocking; logs what failed."""
        try:
            with at_work(self.path), engine.begin() as connection:
                return work(connection, *args, **kwargs)
        except StorageError as error:
            logger.error("%s", error.detail)
            raise

    async def _write_all(self) -> None:
        batch: list[_Write] = []
        try:
            while batch := await self._next_batch():
                outcomes = await self._commit(batch)
                for write, outcome in zip(batch, outcomes, strict=True):
                    if write.erases:
                        self._erased.append((write, outcome, self._deadline()))
                    else:
                        write.settle(outcome)
                await self._clear_remains()
        finally:
            self._settle_erased(math.inf)
            self._fail_all(batch)

    def _fail_all(self, batch: list[_Write]) -> None:
        """Fail every waiting write: the writer was cancelled, and nobody may wait for ever.

        The worker may still be running ``batch``, and will commit it.
        """
        failed: list[_Write | None] = [*batch]
        while not self._waiting.empty():
            failed.append(self._waiting.get_nowait())
        for write in failed:
            if write is not None:
                write.settle(StorageError(_CLOSED))

    async def _next_batch(self) -> list[_Write]:
        """All waiting writes, at least one; none once the history is closed and none is left."""
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

        Returns the results, with exceptions in the places of failed writes.
        """
        run = partial(self._run, self._writing, _write_each, batch)
        transaction = asyncio.get_running_loop().run_in_executor(self._write_worker, run)
        results = (await asyncio.gather(transaction, return_exceptions=True))[0]
        if not isinstance(results, BaseException):
            return list(results)
        if len(batch) == 1:
            return [results]
        return [outcome for write in batch for outcome in await self._commit([write])]

    async def _clear_remains(self) -> None:
        """After an erasing write, and where a reader is in the way again, until it is not."""
        if not self._erased and not self._has_remains:
            return
        loop = asyncio.get_running_loop()
        self._has_remains = not await loop.run_in_executor(self._write_worker, self._wipe)
        self._settle_erased(loop.time() if self._has_remains else math.inf)
        if self._has_remains and not self._is_closing:
            nothing = _Write(_do_nothing, (), {}, False, loop.create_future())
            pause = _WIPE_SOON if self._erased else _WIPE_AGAIN
            loop.call_later(pause, self._waiting.put_nowait, nothing)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._patience

    def _settle_erased(self, until: float) -> None:
        """Those who wait since before then are told that it is done; others still wait."""
        waiting = []
        for write, outcome, deadline in self._erased:
            if deadline <= until:
                write.settle(outcome)
            else:
                waiting.append((write, outcome, deadline))
        self._erased = waiting

    def _wipe(self) -> bool:
        """Whether nothing is left. Blocking."""
        try:
            with at_work(self.path):
                return truncate_log(self.path) and self._gaps.clear()
        except (StorageError, OSError) as error:
            logger.error("what was deleted is still in %s: %s", self.path, error)
            return False


def _do_nothing(connection: Connection) -> None:
    pass


def _write_each(connection: Connection, batch: list[_Write]) -> list[Any]:
    return [write.work(connection, *write.args, **write.kwargs) for write in batch]
