"""Which messages and events were seen, so that a delivery that comes twice counts once."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, exists, select, update
from sqlalchemy.dialects.sqlite import insert

from bot.history.schema import seen, turns
from bot.types import Incoming, Question

GRACE = timedelta(days=1)
"""How long a key outlives its turn."""


def of_message(question: Question) -> str:
    """The parts of the place are escaped, so the opaque id at the end cannot be mistaken."""
    return f"message {question.place.channel_form}/{question.message_id}"


def of_event(incoming: Incoming) -> str:
    return f"event {incoming.place.adapter}/{incoming.event_id}"


def note(connection: Connection, key: str, at: datetime) -> bool:
    """Whether ``key`` is new."""
    added = connection.execute(insert(seen).values(key=key, seen_at=at).on_conflict_do_nothing())
    return added.rowcount == 1


def renew(connection: Connection, going: ColumnElement[bool], at: datetime) -> None:
    """Let the day of grace begin ``at`` for the keys of turns that are about to go."""
    keys = select(turns.c.key).where(going)
    connection.execute(update(seen).where(seen.c.key.in_(keys)).values(seen_at=at))


def drop(connection: Connection, before: datetime, limit: int) -> int:
    """Drop at most ``limit`` keys that outlived what they stood for by a day; how many."""
    has_turn = exists().where(turns.c.key == seen.c.key)
    old = select(seen.c.key).where(seen.c.seen_at < before - GRACE, ~has_turn).limit(limit)
    return connection.execute(delete(seen).where(seen.c.key.in_(old))).rowcount
