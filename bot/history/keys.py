"""Which messages and events were seen, so that a delivery that comes twice counts once."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from bot.history.schema import seen, turns
from bot.types import Incoming, Question

GRACE = timedelta(days=1)
"""How long a key outlives its turn, or its event."""


def of_message(question: Question) -> str:
    """The parts of the place are escaped, so the opaque id at the end cannot be mistaken."""
    return f"message {question.place.channel_form}/{question.message_id}"


def of_event(incoming: Incoming) -> str:
    return f"event {incoming.place.adapter}/{incoming.event_id}"


def note(connection: Connection, key: str, now: datetime) -> bool:
    """Whether ``key`` is new; it is kept for its time of grace."""
    return _add(connection, key, now + GRACE)


def note_turn(connection: Connection, key: str) -> bool:
    """Whether ``key`` is new; it is kept until ``release``."""
    return _add(connection, key, None)


def _add(connection: Connection, key: str, goes_at: datetime | None) -> bool:
    added = insert(seen).values(key=key, goes_at=goes_at).on_conflict_do_nothing()
    return connection.execute(added).rowcount == 1


def release(connection: Connection, going: ColumnElement[bool], now: datetime) -> None:
    """The time of grace begins for the keys of turns that are about to go."""
    keys = select(turns.c.key).where(going)
    connection.execute(update(seen).where(seen.c.key.in_(keys)).values(goes_at=now + GRACE))


def drop(connection: Connection, now: datetime, limit: int) -> int:
    """Drop at most ``limit`` keys whose time is over; how many."""
    over = select(seen.c.key).where(seen.c.goes_at <= now).limit(limit)
    return connection.execute(delete(seen).where(seen.c.key.in_(over))).rowcount
