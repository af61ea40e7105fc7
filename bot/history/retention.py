"""Forgetting a thread, and letting go of what is old, a short transaction at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, exists, select

from bot.history import keys, places, turns
from bot.history.schema import remarks, threads
from bot.history.schema import turns as table
from bot.history.threads import HAS_TURNS
from bot.types import Place, Turn


def forget(connection: Connection, place: Place, now: datetime) -> list[Turn]:
    """Turns, posts and remarks go with the thread, by their foreign keys; keys go later."""
    forgotten = turns.every(connection, place)
    thread_id = select(threads.c.id).where(places.thread_is(place)).scalar_subquery()
    keys.release(connection, table.c.thread_id == thread_id, now)
    connection.execute(delete(threads).where(places.thread_is(place)))
    return forgotten


def outdated(connection: Connection, before: datetime) -> list[Place]:
    """Threads with turns that finished before."""
    ids = select(table.c.thread_id).where(table.c.finished_at < before)
    rows = connection.execute(select(threads).where(threads.c.id.in_(ids)))
    return [places.of(row) for row in rows]


def drop_turns(connection: Connection, before: datetime, now: datetime, limit: int) -> int:
    """Drop at most ``limit`` turns that finished before; how many."""
    old = table.c.seq.in_(
        select(table.c.seq)
        .where(table.c.finished_at < before)
        .order_by(table.c.finished_at)
        .limit(limit)
    )
    keys.release(connection, old, now)
    return connection.execute(delete(table).where(old)).rowcount


def drop_empty_threads(connection: Connection, before: datetime) -> None:
    """With old remarks that no question followed. A chosen personality is kept."""
    connection.execute(
        delete(remarks).where(remarks.c.turn_seq.is_(None), remarks.c.said_at < before)
    )
    has_remarks = exists().where(remarks.c.thread_id == threads.c.id)
    is_plain = threads.c.personality.is_(None)
    connection.execute(delete(threads).where(is_plain, ~HAS_TURNS, ~has_remarks))
