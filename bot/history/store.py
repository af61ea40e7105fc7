"""The thread store: each method of the port as one transaction or one snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Concatenate, ParamSpec

from sqlalchemy import Connection, make_url, select
from sqlalchemy.exc import ArgumentError

from bot.errors import DataError, StorageError
from bot.generation import FinishReason, Usage
from bot.history import (
    answers,
    imports,
    maintenance,
    owed,
    schema,
    threads,
    turns,
    usage,
    votes,
)
from bot.history.backups import Backups
from bot.history.database import BUSY_TIMEOUT, Database, running_engines
from bot.history.migrate import migrate
from bot.ports import Clock
from bot.source import Source
from bot.stored import (
    AnsweredTurn,
    AnswerUsage,
    Owed,
    StoredAnswer,
    ThreadSummary,
    Turn,
    TurnState,
    Vote,
)
from bot.types import Command, Incoming, Place, Question, UnpostedQuestion

P = ParamSpec("P")
_MAX_DROPPED = 200
"""Rows per transaction of ``prune``: a few milliseconds, in which other writes wait."""


async def open_store(
    url: str, clock: Clock, *, busy_timeout: float = BUSY_TIMEOUT
) -> SqlThreadStore:
    """Open ``sqlite:///data/parley.db`` or the like, at the newest schema. Raises DataError."""
    path = database_path(url)
    await asyncio.to_thread(migrate, path, clock.now(), busy_timeout)
    engines = await asyncio.to_thread(running_engines, path, busy_timeout)
    return SqlThreadStore(Database(engines), clock)


def database_path(url: str) -> Path:
    """The file that ``PARLEY_DATABASE_URL`` names. Raises DataError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "sqlite":
        raise DataError(
            "PARLEY_DATABASE_URL is not of the form sqlite:///data/parley.db, "
            "the only kind of database so far."
        )
    if not parsed.database or parsed.database == ":memory:":
        raise DataError("PARLEY_DATABASE_URL names no file, as sqlite:///data/parley.db does.")
    return Path(parsed.database)


class SqlThreadStore:
    """``bot.stores.ThreadStore`` on SQLite. ``begin``, ``note_read``, ``add_sources``, ``requeue``
    and ``ask_again`` raise LookupError for a turn that was forgotten; other changes of such a turn
    do nothing.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._backups = Backups(database.path)
        self._resting = asyncio.Lock()
        self._leaving: asyncio.Task[None] | None = None

    async def accept(
        self, question: Question, earlier: Sequence[tuple[str, str]] = ()
    ) -> Turn | None:
        return await self.database.write(owed.accept, question, earlier, self._clock.now())

    async def accept_event(self, incoming: Incoming) -> bool:
        goes_at = self._clock.now() + turns.GRACE
        return await self.database.write(turns.note_key, turns.event_key(incoming), goes_at)

    async def owe(self, asked: Command | UnpostedQuestion) -> bool:
        return await self.database.write(owed.note, asked, self._clock.now())

    async def settle(self, incoming: Incoming) -> None:
        await self.database.write(owed.settle, incoming)

    async def owed(self) -> list[Owed]:
        return await self.database.read(owed.every)

    async def add_remark(self, question: Question) -> None:
        await self.database.write(turns.add_remark, question, self._clock.now())

    async def note_deleted(self, place: Place, message_id: str) -> None:
        await self.database.write(turns.note_deleted, place, message_id, self._clock.now())

    async def knows(self, place: Place) -> bool:
        return await self.database.read(threads.known_id, place) is not None

    async def speakers(self, place: Place) -> set[str]:
        return await self.database.read(threads.speakers, place)

    async def turn(self, turn_id: str) -> Turn | None:
        return await self.database.read(turns.find, turn_id)

    async def turn_of_message(self, place: Place, message_id: str) -> Turn | None:
        return await self.database.read(turns.of_message, place, message_id)

    async def turns(self, place: Place) -> list[Turn]:
        return await self.database.read(turns.kept, place)

    async def unfinished(self) -> list[Turn]:
        return await self.database.read(turns.unfinished)

    async def begin(self, turn_id: str) -> Turn:
        return await self.database.write(turns.begin, turn_id)

    async def note_read(
        self, turn_id: str, *, files: Sequence[Source], earlier: Sequence[tuple[str, str]]
    ) -> Turn:
        now = self._clock.now()
        return await self.database.write(turns.note_read, turn_id, files, earlier, now)

    async def add_sources(self, turn_id: str, text: str, sources: Sequence[Source]) -> Turn:
        return await self.database.write(turns.add_sources, turn_id, text, sources)

    async def requeue(self, turn_id: str, *, goes_on: bool = False) -> Turn:
        now = self._clock.now()
        return await self.database.write(turns.requeue, turn_id, now, goes_on=goes_on)

    async def put_back(self, turn_id: str) -> None:
        await self.database.write(turns.put_back, turn_id)

    async def add_post(self, turn_id: str, part: int, message_id: str) -> None:
        await self.database.write(turns.add_post, turn_id, part, message_id)

    async def remove_post(self, turn_id: str, part: int) -> None:
        await self.database.write(turns.remove_post, turn_id, part)

    async def finish(
        self,
        turn_id: str,
        state: TurnState,
        *,
        reply: str,
        reason: FinishReason | None = None,
        usage: Usage = Usage(),
        above: str = "",
    ) -> None:
        await self.database.write(
            turns.finish,
            turn_id,
            state,
            reply=reply,
            reason=reason,
            usage=usage,
            above=above,
            now=self._clock.now(),
        )

    async def edit_question(self, turn_id: str, text: str) -> None:
        await self.database.write(turns.edit_question, turn_id, text)

    async def keep_from(self, place: Place, number: int) -> None:
        await self.database.write(threads.keep_from, place, number)

    async def vote_of(self, turn_id: str, person_id: str) -> Vote | None:
        return await self.database.read(votes.of_person, turn_id, person_id)

    async def rate(self, turn_id: str, incoming: Incoming, vote: Vote | None) -> bool:
        goes_at = self._clock.now() + turns.GRACE
        return await self.database.write(votes.note, turn_id, incoming, vote, goes_at)

    async def ask(
        self, question: Question, personality: str, *, is_known: bool = False
    ) -> Turn | None:
        now = self._clock.now()
        return await self.database.write(answers.ask, question, personality, now, is_known=is_known)

    async def ask_again(
        self,
        turn_id: str,
        *,
        personality: str,
        text: str | None = None,
        continued: int | None = None,
    ) -> Turn:
        return await self.database.write(
            answers.ask_again,
            turn_id,
            personality=personality,
            text=text,
            continued=continued,
            now=self._clock.now(),
        )

    async def branch(self, turn_id: str, question: Question, personality: str) -> Turn | None:
        now = self._clock.now()
        return await self.database.write(imports.branch, turn_id, question, personality, now)

    async def end_answer(self, turn_id: str, ended: StoredAnswer) -> int:
        return await self.database.write(answers.end, turn_id, ended, self._clock.now())

    async def answered_turn(self, turn_id: str) -> AnsweredTurn | None:
        return await self.database.read(answers.find, turn_id)

    async def answered_turns(self, place: Place) -> list[AnsweredTurn]:
        return await self.database.read(answers.of_thread, place)

    async def choose_answer(self, turn_id: str, number: int) -> bool:
        return await self.database.write(answers.choose, turn_id, number)

    async def rate_answer(self, turn_id: str, number: int, rating: int) -> None:
        await self.database.write(answers.rate, turn_id, number, rating)

    async def add_usage(self, rows: Sequence[AnswerUsage]) -> None:
        await self.database.write(usage.add, rows)

    async def vote(self, answer_id: str, account: str, rating: int) -> bool:
        return await self.database.write(usage.vote, answer_id, account, rating)

    async def personality(self, place: Place) -> str | None:
        return await self.database.read(threads.personality, place)

    async def set_personality(self, place: Place, name: str | None) -> None:
        await self.database.write(threads.set_personality, place, name)

    async def set_channel_personality(self, place: Place, name: str | None) -> None:
        await self.database.write(threads.set_channel_personality, place, name)

    async def listened(self) -> list[Place]:
        return await self.database.read(threads.listened)

    async def set_listened(self, place: Place, *, is_on: bool) -> None:
        await self.database.write(threads.set_listened, place, is_on=is_on)

    async def listed(self, place: Place, search: str = "") -> list[ThreadSummary]:
        return await self.database.read(threads.listed, place, search)

    async def summary(self, place: Place) -> ThreadSummary | None:
        return await self.database.read(threads.summary, place)

    async def set_title(self, place: Place, title: str | None) -> None:
        await self.database.write(threads.set_title, place, title)

    async def add_thread(
        self, place: Place, turns: Sequence[AnsweredTurn], *, title: str, personality: str | None
    ) -> None:
        await self.database.write(imports.add, place, turns, title=title, personality=personality)

    async def awaited(self, adapter: str) -> set[str]:
        return await self.database.read(turns.awaited, adapter)

    async def forget(self, place: Place) -> list[Turn]:
        """The backups come first: whoever is told of a failure has not lost half of it."""
        async with self._backups_at_rest():
            await asyncio.to_thread(self._backups.forget, place)
            return await self.database.erase(maintenance.forget, place, self._clock.now())

    async def threads(self, person_id: str) -> list[ThreadSummary]:
        return await self.database.read(threads.summaries, person_id)

    async def outdated(self, before: datetime) -> list[Place]:
        return await self.database.read(maintenance.outdated, before)

    async def prune(self, before: datetime | None) -> int:
        now, num_dropped = self._clock.now(), 0
        if before:
            async with self._backups_at_rest():
                await asyncio.to_thread(self._backups.prune, before)
                num_dropped = await self._in_batches(maintenance.drop_turns, before, now)
                await self._in_batches(usage.drop, before)
                await self.database.erase(maintenance.drop_leftovers, before)
        await self._in_batches(turns.drop_keys, now)
        return num_dropped

    @asynccontextmanager
    async def _backups_at_rest(self) -> AsyncIterator[None]:
        """A caller who is cancelled while it waits for the lock leaves it free."""
        await self._resting.acquire()
        entering = asyncio.create_task(asyncio.to_thread(self._rest))

        async def leave() -> None:
            try:
                await asyncio.to_thread((await entering).__exit__, None, None, None)
            finally:
                self._resting.release()

        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            self._leaving = asyncio.create_task(leave())
            raise
        except StorageError:
            self._resting.release()
            raise
        try:
            yield
        finally:
            await asyncio.shield(asyncio.create_task(leave()))

    def _rest(self) -> AbstractContextManager[None]:
        """Entered already. Blocking."""
        resting = self._backups.at_rest()
        resting.__enter__()
        return resting

    async def _in_batches(
        self,
        drop: Callable[Concatenate[Connection, int, P], int],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> int:
        num_dropped = 0
        while num := await self.database.write(drop, _MAX_DROPPED, *args, **kwargs):
            num_dropped += num
        return num_dropped

    async def is_sound(self) -> bool:
        """Whether a write reaches the file at the path; tried with one that changes nothing.

        Raises what a write raises.
        """
        if not await asyncio.to_thread(self.database.is_in_place):
            return False  # a new connection would make an empty file there
        await self.database.write(Connection.scalar, select(schema.threads.c.id).limit(1))
        return True

    async def backup(self, path: Path) -> None:
        """Write a compact copy to a new file while Parley runs. Raises DataError."""
        async with self._resting:
            await asyncio.to_thread(self._backups.make, path, self._clock.now())

    async def close(self) -> None:
        await self.database.close()
