"""What people have asked that is no turn yet: kept until it is one, or they were told why not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from bot.history import schema, turns
from bot.stored import Owed, Turn
from bot.types import Attachment, Command, Incoming, Person, Place, Question, UnpostedQuestion

_KINDS = {kind.__name__: kind for kind in (Command, UnpostedQuestion)}


def note(connection: Connection, asked: Command | UnpostedQuestion, now: datetime) -> bool:
    key = turns.event_key(asked)
    if not turns.note_key(connection, key, now + turns.GRACE):
        return False
    text = json.dumps({"kind": type(asked).__name__, **asdict(asked)})
    connection.execute(insert(schema.owed).values(key=key, asked=text, noted_at=now))
    return True


def settle(connection: Connection, incoming: Incoming) -> None:
    key = turns.event_key(incoming)
    connection.execute(delete(schema.owed).where(schema.owed.c.key == key))


def accept(
    connection: Connection,
    question: Question,
    earlier: Sequence[tuple[str, str]],
    now: datetime,
) -> Turn | None:
    """A turn is owed no more."""
    settle(connection, question)
    return turns.accept(connection, question, now, earlier)


def every(connection: Connection) -> list[Owed]:
    rows = connection.execute(select(schema.owed).order_by(schema.owed.c.noted_at))
    return [_owed(row) for row in rows]


def _owed(row: Row[Any]) -> Owed:
    found = json.loads(row.asked)
    kind = _KINDS[found.pop("kind")]
    found["place"] = Place(**found["place"])
    found["person"] = Person(**{**found["person"], "role_ids": tuple(found["person"]["role_ids"])})
    if "attachments" in found:
        found["attachments"] = tuple(Attachment(**each) for each in found["attachments"])
    return Owed(kind(**found), row.noted_at)
