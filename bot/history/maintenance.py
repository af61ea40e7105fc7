"""Deleting threads and old turns, a short transaction at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, exists, or_, select

from bot.chats import ADAPTER as CHATS
from bot.history.schema import owed, place_of, remarks, thread_is, threads, turns
from bot.history.threads import HAS_TURNS
from bot.history.turns import every, release_keys
from bot.stored import Turn
from bot.types import Place


def forget(connection: Connection, place: Place, now: datetime) -> list[Turn]:
    """Delete a thread with its turns, posts and remarks; its keys stay for their time of grace.

    Returns the deleted turns.
    """
    forgotten = every(connection, place)
    thread_id = select(threads.c.id).where(thread_is(place)).scalar_subquery()
    release_keys(connection, turns.c.thread_id == thread_id, now)
    connection.execute(delete(threads).where(thread_is(place)))
    return forgotten


def outdated(connection: Connection, before: datetime) -> list[Place]:
    """Threads with turns that finished before."""
    ids = select(turns.c.thread_id).where(turns.c.finished_at < before)
    rows = connection.execute(select(threads).where(threads.c.id.in_(ids)))
    return [place_of(row) for row in rows]


def drop_turns(connection: Connection, limit: int, before: datetime, now: datetime) -> int:
    """Drop at most ``limit`` turns that finished before; returns how many."""
    old = turns.c.seq.in_(
        select(turns.c.seq)
        .where(turns.c.finished_at < before)
        .order_by(turns.c.finished_at)
        .limit(limit)
    )
    release_keys(connection, old, now)
    return connection.execute(delete(turns).where(old)).rowcount


def drop_leftovers(connection: Connection, before: datetime) -> None:
    """Delete what is owed for too long, old remarks that no question followed, and threads in which
    nothing is left.

    A thread with a chosen personality is kept, unless it is a chat: nobody sees that any more, and
    its title is text.
    """
    connection.execute(delete(owed).where(owed.c.noted_at < before))
    connection.execute(
        delete(remarks).where(remarks.c.turn_seq.is_(None), remarks.c.said_at < before)
    )
    has_remarks = exists().where(remarks.c.thread_id == threads.c.id)
    is_plain = or_(threads.c.personality.is_(None), threads.c.adapter == CHATS)
    connection.execute(delete(threads).where(is_plain, ~HAS_TURNS, ~has_remarks))
