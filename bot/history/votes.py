"""What people think of a turn's newest answer: one vote of each, and the newest of all counts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, literal, select, update

from bot.history import turns, usage
from bot.history.schema import turns as turn_table
from bot.history.schema import votes
from bot.stored import Vote
from bot.types import Incoming

_COLUMNS = ("turn_seq", "person_id", "rating", "is_pressed")


def of_person(connection: Connection, turn_id: str, person_id: str) -> Vote | None:
    is_meant = (turn_table.c.id == turn_id, votes.c.person_id == person_id)
    asked = select(votes.c.rating, votes.c.is_pressed).join(turn_table).where(*is_meant)
    row = connection.execute(asked).first()
    return Vote(row.rating, is_pressed=row.is_pressed) if row else None


def note(
    connection: Connection, turn_id: str, incoming: Incoming, vote: Vote | None, goes_at: datetime
) -> bool:
    if not turns.note_key(connection, turns.event_key(incoming), goes_at):
        return False
    of_turn = select(turn_table.c.seq).where(turn_table.c.id == turn_id)
    person_id = incoming.person.id
    if vote is None:
        is_theirs = (votes.c.turn_seq == of_turn.scalar_subquery(), votes.c.person_id == person_id)
        connection.execute(delete(votes).where(*is_theirs))
    else:
        values = map(literal, (person_id, vote.rating, vote.is_pressed))
        cast = insert(votes).prefix_with("OR REPLACE")
        connection.execute(cast.from_select(_COLUMNS, of_turn.add_columns(*values)))
    _count(connection, turn_id)
    return True


def _count(connection: Connection, turn_id: str) -> None:
    """The log's row of an answer that is still under way is to come: the newest is an older one."""
    asked = select(turn_table.c.seq, turn_table.c.finished_at).where(turn_table.c.id == turn_id)
    if (turn := connection.execute(asked).first()) is None:
        return
    of_turn = select(votes.c.rating).where(votes.c.turn_seq == turn.seq)
    rating = connection.scalar(of_turn.order_by(votes.c.seq.desc()).limit(1)) or 0
    counted = update(turn_table).where(turn_table.c.seq == turn.seq)
    connection.execute(counted.values(rating=rating))
    if turn.finished_at is not None:
        usage.rate(connection, turn_id, rating)
