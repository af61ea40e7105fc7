"""The thread store: each method of the port as one transaction or one snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, make_url, select
from sqlalchemy.exc import ArgumentError

from bot.errors import DataError
from bot.history import choices, keys, progress, retention, schema, threads, turns
from bot.history.database import Database
from bot.history.engines import BUSY_TIMEOUT, running_engines
from bot.history.migrate import migrate
from bot.history.upkeep import back_up
from bot.ports import Clock
from bot.types import (
    FinishReason,
    Incoming,
    Place,
    Question,
    ThreadSummary,
    Turn,
    TurnState,
    Usage,
)

_MAX_DROPPED = 200
"""Rows per transaction of ``prune``: a few milliseconds, in which other writes wait."""


async def open_store(
    url: str, clock: Clock, *, busy_timeout: float = BUSY_TIMEOUT
) -> SqlThreadStore:
    """Open ``sqlite:///data/parley.db`` or the like, at the newest schema. Raises DataError."""
    path = database_path(url)
    await asyncio.to_thread(migrate, path, busy_timeout)
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
    """``bot.ports.ThreadStore`` on SQLite. ``begin``, ``note_read`` and ``requeue`` raise
    LookupError for a turn that was forgotten; other changes of such a turn do nothing.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock

    async def accept(self, question: Question) -> Turn | None:
        now = self._clock.now()
        return await self.database.write(lambda c: progress.accept(c, question, now))

    async def accept_event(self, incoming: Incoming) -> bool:
        key, now = keys.of_event(incoming), self._clock.now()
        return await self.database.write(lambda c: keys.note(c, key, now))

    async def add_remark(self, question: Question) -> None:
        now = self._clock.now()
        await self.database.write(lambda c: threads.add_remark(c, question, now))

    async def knows(self, place: Place) -> bool:
        return await self.database.read(lambda c: threads.knows(c, place))

    async def speakers(self, place: Place) -> set[str]:
        return await self.database.read(lambda c: threads.speakers(c, place))

    async def turn(self, turn_id: str) -> Turn | None:
        return await self.database.read(lambda c: turns.find(c, turn_id))

    async def turn_of_message(self, place: Place, message_id: str) -> Turn | None:
        return await self.database.read(lambda c: turns.of_message(c, place, message_id))

    async def turns(self, place: Place) -> list[Turn]:
        return await self.database.read(lambda c: turns.kept(c, place))

    async def unfinished(self) -> list[Turn]:
        return await self.database.read(turns.unfinished)

    async def begin(self, turn_id: str) -> Turn:
        return await self.database.write(lambda c: progress.begin(c, turn_id))

    async def note_read(
        self, turn_id: str, *, files: str, earlier: Sequence[tuple[str, str]]
    ) -> Turn:
        now = self._clock.now()
        return await self.database.write(
            lambda c: progress.note_read(c, turn_id, files, earlier, now)
        )

    async def requeue(self, turn_id: str, *, attempts: int | None = None) -> Turn:
        return await self.database.write(lambda c: progress.requeue(c, turn_id, attempts))

    async def put_back(self, turn_id: str) -> None:
        await self.database.write(lambda c: progress.put_back(c, turn_id))

    async def add_post(self, turn_id: str, part: int, message_id: str) -> None:
        await self.database.write(lambda c: progress.add_post(c, turn_id, part, message_id))

    async def remove_post(self, turn_id: str, part: int) -> None:
        await self.database.write(lambda c: progress.remove_post(c, turn_id, part))

    async def finish(
        self,
        turn_id: str,
        state: TurnState,
        *,
        reply: str,
        reason: FinishReason | None = None,
        usage: Usage = Usage(),
    ) -> None:
        now = self._clock.now()
        work = partial(progress.finish, reply=reply, reason=reason, usage=usage, now=now)
        await self.database.write(lambda c: work(c, turn_id, state))

    async def edit_question(self, turn_id: str, text: str) -> None:
        await self.database.write(lambda c: progress.edit_question(c, turn_id, text))

    async def keep_from(self, place: Place, number: int) -> None:
        await self.database.write(lambda c: threads.keep_from(c, place, number))

    async def rate(self, turn_id: str, rating: int) -> None:
        await self.database.write(lambda c: progress.rate(c, turn_id, rating))

    async def personality(self, place: Place) -> str | None:
        return await self.database.read(lambda c: choices.personality(c, place))

    async def set_personality(self, place: Place, name: str | None) -> None:
        await self.database.write(lambda c: choices.set_for_thread(c, place, name))

    async def set_channel_personality(self, place: Place, name: str | None) -> None:
        await self.database.write(lambda c: choices.set_for_channel(c, place, name))

    async def forget(self, place: Place) -> list[Turn]:
        now = self._clock.now()
        return await self.database.erase(lambda c: retention.forget(c, place, now))

    async def threads(self, person_id: str) -> list[ThreadSummary]:
        return await self.database.read(lambda c: threads.summaries(c, person_id))

    async def outdated(self, before: datetime) -> list[Place]:
        return await self.database.read(lambda c: retention.outdated(c, before))

    async def prune(self, before: datetime | None) -> int:
        num_dropped = await self._prune_turns(before) if before else 0
        now = self._clock.now()
        await self._in_batches(lambda c: keys.drop(c, now, _MAX_DROPPED))
        return num_dropped

    async def _prune_turns(self, before: datetime) -> int:
        now = self._clock.now()
        num_dropped = await self._in_batches(
            lambda c: retention.drop_turns(c, before, now, _MAX_DROPPED)
        )
        await self.database.erase(lambda c: retention.drop_empty_threads(c, before))
        return num_dropped

    async def _in_batches(self, drop: Callable[[Connection], int]) -> int:
        num_dropped = 0
        while num := await self.database.write(drop):
            num_dropped += num
        return num_dropped

    async def is_sound(self) -> bool:
        """Whether what is stored now will be found again; asked as a write, which changes nothing.

        Raises what a write raises.
        """
        if not await asyncio.to_thread(self.database.is_in_place):
            return False  # a new connection would make an empty file there
        any_thread = select(schema.threads.c.id).limit(1)
        await self.database.write(lambda c: c.execute(any_thread).first())
        return True

    async def backup(self, path: Path) -> None:
        """Write a compact copy to a new file, while everything goes on. Raises DataError."""
        await asyncio.to_thread(back_up, self.database.path, path)

    async def close(self) -> None:
        await self.database.close()
