"""Threads: their numbers, personalities, first kept turn, and summaries."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from bot.history.schema import (
    channel_columns,
    channel_is,
    channels,
    listened_channels,
    place_of,
    remarks,
    thread_is,
    threads,
    turns,
)
from bot.history.search import matches, names_of
from bot.stored import ThreadSummary
from bot.types import Place

_MAX_TITLE = 80
_UNTITLED = "Files"

HAS_TURNS = exists().where(turns.c.thread_id == threads.c.id)


def count_turn(connection: Connection, place: Place) -> tuple[int, int]:
    """The thread's id and the number of its next turn; the thread is made if it is new."""
    made = sqlite.insert(threads).values(**asdict(place), last_number=1)
    counted = made.on_conflict_do_update(
        index_elements=list(asdict(place)),
        set_={"last_number": threads.c.last_number + 1},
    )
    row = connection.execute(counted.returning(threads.c.id, threads.c.last_number)).one()
    return row.id, row.last_number


def known_id(connection: Connection, place: Place) -> int | None:
    """The id of a thread in which Parley takes part; None for any other."""
    found: int | None = connection.scalar(select(threads.c.id).where(thread_is(place), HAS_TURNS))
    return found


def speakers(connection: Connection, place: Place) -> set[str]:
    """The ids of all who asked or remarked, also in turns that are not kept in the context."""
    thread_id = select(threads.c.id).where(thread_is(place)).scalar_subquery()
    asked = select(turns.c.person_id).where(turns.c.thread_id == thread_id)
    remarked = select(remarks.c.person_id).where(remarks.c.thread_id == thread_id)
    return set(connection.scalars(asked.union(remarked)))


def keep_from(connection: Connection, place: Place, number: int) -> None:
    """Ignores a number not given yet: it belongs to a thread that was forgotten here."""
    is_given = threads.c.last_number >= number
    thread = update(threads).where(thread_is(place), is_given)
    connection.execute(thread.values(first_kept=number))


def personality(connection: Connection, place: Place) -> str | None:
    """The thread's personality, else the channel's, else None."""
    of_thread = select(threads.c.personality).where(thread_is(place))
    of_channel = select(channels.c.personality).where(channel_is(channels, place))
    return connection.scalar(of_thread) or connection.scalar(of_channel)


def set_personality(connection: Connection, place: Place, name: str | None) -> None:
    if name is None:
        thread = update(threads).where(thread_is(place))
        connection.execute(thread.values(personality=None))
        return
    columns = asdict(place)
    made = sqlite.insert(threads).values(**columns, personality=name)
    connection.execute(
        made.on_conflict_do_update(index_elements=list(columns), set_={"personality": name})
    )


def set_channel_personality(connection: Connection, place: Place, name: str | None) -> None:
    if name is None:
        connection.execute(delete(channels).where(channel_is(channels, place)))
        return
    columns = channel_columns(place)
    made = sqlite.insert(channels).values(**columns, personality=name)
    connection.execute(
        made.on_conflict_do_update(index_elements=list(columns), set_={"personality": name})
    )


def listened(connection: Connection) -> list[Place]:
    rows = connection.execute(select(listened_channels))
    return [Place(row.adapter, row.workspace, row.channel, "") for row in rows]


def set_listened(connection: Connection, place: Place, *, is_on: bool) -> None:
    if not is_on:
        connection.execute(delete(listened_channels).where(channel_is(listened_channels, place)))
        return
    made = sqlite.insert(listened_channels).values(**channel_columns(place))
    connection.execute(made.on_conflict_do_nothing())


def summaries(connection: Connection, person_id: str) -> list[ThreadSummary]:
    """The threads in which the person asked, newest first."""
    theirs = select(turns.c.thread_id).where(turns.c.person_id == person_id)
    return found(connection, threads.c.id.in_(theirs))


def found(
    connection: Connection, within: ColumnElement[bool], search: str = ""
) -> list[ThreadSummary]:
    """The threads of which the condition holds and that have all words, newest first."""
    ids = select(threads.c.id).where(within)
    rows = connection.execute(_summed_up(turns.c.thread_id.in_(ids)))
    if not search.strip():
        return [_summary(row) for row in rows]
    lines = matches(connection, within, search)
    return [replace(_summary(row), excerpt=lines[row.id]) for row in rows if row.id in lines]


def listed(connection: Connection, place: Place, search: str) -> list[ThreadSummary]:
    return found(connection, channel_is(threads, place), search)


def summary(connection: Connection, place: Place) -> ThreadSummary | None:
    return next(iter(found(connection, thread_is(place))), None)


def set_title(connection: Connection, place: Place, title: str | None) -> None:
    connection.execute(update(threads).where(thread_is(place)).values(title=title or None))


def _summed_up(condition: ColumnElement[bool]) -> Select[Any]:
    ends = _ends(condition)
    first, last = turns.alias("first_turn"), turns.alias("last_turn")
    same_channel = (
        channels.c[column.name] == threads.c[column.name] for column in channels.primary_key
    )
    return (
        select(
            threads,
            ends.c.num_turns,
            ends.c.is_busy,
            first.c.text.label("first_text"),
            names_of(first.c.files).label("first_files"),
            last.c.accepted_at.label("last_at"),
            channels.c.personality.label("channel_personality"),
        )
        .join(ends, ends.c.thread_id == threads.c.id)
        .join(first, first.c.seq == ends.c.first)
        .join(last, last.c.seq == ends.c.last)
        .outerjoin(channels, and_(*same_channel))
        .order_by(last.c.seq.desc())
    )


def _ends(condition: ColumnElement[bool]) -> Subquery:
    return (
        select(
            turns.c.thread_id,
            func.count().label("num_turns"),
            func.min(turns.c.seq).label("first"),
            func.max(turns.c.seq).label("last"),
            (func.count() > func.count(turns.c.finished_at)).label("is_busy"),
        )
        .where(condition)
        .group_by(turns.c.thread_id)
        .subquery()
    )


def _summary(row: Row[Any]) -> ThreadSummary:
    return ThreadSummary(
        place=place_of(row),
        personality=row.personality or row.channel_personality or "",
        num_turns=row.num_turns,
        title=row.title or _title(row.first_text or row.first_files or _UNTITLED),
        last_at=row.last_at,
        is_busy=bool(row.is_busy),
    )


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TITLE else f"{line[: _MAX_TITLE - 1].rstrip()}…"
