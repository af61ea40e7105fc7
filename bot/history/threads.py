"""Threads: their numbers, remarks, first kept turn, and summaries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from bot.history import keys, places
from bot.history.columns import UtcTime
from bot.history.schema import channels, remarks, threads, turns
from bot.types import Place, Question, ThreadSummary

_MAX_TITLE = 80
_REMARK = ("thread_id", "turn_seq", "person_id", "name", "text", "said_at")

HAS_TURNS = exists().where(turns.c.thread_id == threads.c.id)


def count_turn(connection: Connection, place: Place) -> tuple[int, int]:
    """The thread's id and the number of its next turn; the thread is made if it is new."""
    made = sqlite.insert(threads).values(**places.thread_columns(place), last_number=1)
    counted = made.on_conflict_do_update(
        index_elements=list(places.thread_columns(place)),
        set_={"last_number": threads.c.last_number + 1},
    )
    row = connection.execute(counted.returning(threads.c.id, threads.c.last_number)).one()
    return row.id, row.last_number


def knows(connection: Connection, place: Place) -> bool:
    return _known_id(connection, place) is not None


def add_remark(connection: Connection, question: Question, now: datetime) -> None:
    thread_id = _known_id(connection, question.place)
    if thread_id is None or not keys.note(connection, keys.of_message(question), now):
        return
    person = {"person_id": question.person.id, "name": question.person.name}
    said = {"thread_id": thread_id, "text": question.text, "said_at": now}
    connection.execute(insert(remarks).values(**person, **said))


def speakers(connection: Connection, place: Place) -> set[str]:
    """Whoever asked or remarked, also in turns that are not kept in the context."""
    thread_id = select(threads.c.id).where(places.thread_is(place)).scalar_subquery()
    asked = select(turns.c.person_id).where(turns.c.thread_id == thread_id)
    remarked = select(remarks.c.person_id).where(remarks.c.thread_id == thread_id)
    return set(connection.scalars(asked.union(remarked)))


def add_earlier(
    connection: Connection, turn_id: str, earlier: Sequence[tuple[str, str]], now: datetime
) -> None:
    """What was said before Parley took part, as remarks of the thread's first question.

    They count as the asker's: nobody said them in Parley's presence, and the platform has them.
    """
    for name, text in earlier:
        said = select(
            turns.c.thread_id,
            turns.c.seq,
            turns.c.person_id,
            *map(literal, (name, text)),
            literal(now, UtcTime),
        ).where(turns.c.id == turn_id)
        connection.execute(insert(remarks).from_select(_REMARK, said))


def _known_id(connection: Connection, place: Place) -> int | None:
    found: int | None = connection.scalar(
        select(threads.c.id).where(places.thread_is(place), HAS_TURNS)
    )
    return found


def keep_from(connection: Connection, place: Place, number: int) -> None:
    """A number not given yet is one of a thread that stood here and was forgotten."""
    is_given = threads.c.last_number >= number
    thread = update(threads).where(places.thread_is(place), is_given)
    connection.execute(thread.values(first_kept=number))


def summaries(connection: Connection, person_id: str) -> list[ThreadSummary]:
    """The threads in which the person asked, newest first."""
    theirs = select(turns.c.thread_id).where(turns.c.person_id == person_id)
    return [_summary(row) for row in connection.execute(_summed_up(turns.c.thread_id.in_(theirs)))]


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
            first.c.text.label("first_text"),
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
        )
        .where(condition)
        .group_by(turns.c.thread_id)
        .subquery()
    )


def _summary(row: Row[Any]) -> ThreadSummary:
    return ThreadSummary(
        place=places.of(row),
        personality=row.personality or row.channel_personality or "",
        num_turns=row.num_turns,
        title=_title(row.first_text),
        last_at=row.last_at,
    )


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TITLE else f"{line[: _MAX_TITLE - 1].rstrip()}…"
