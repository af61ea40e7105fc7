"""What happens to a turn, from accepted to finished and rated.

Each function is the work of one transaction. A turn may have been forgotten meanwhile:
then there is nothing to change; ``begin``, ``note_read`` and ``requeue`` raise LookupError.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, literal, select, update
from sqlalchemy.dialects import sqlite

from bot.history import keys, threads, turns, unread
from bot.history.schema import posts, remarks
from bot.history.schema import turns as table
from bot.types import FinishReason, Question, Turn, TurnState, Unread, Usage


def accept(connection: Connection, question: Question, now: datetime) -> Turn | None:
    key = keys.of_message(question)
    if not keys.note_turn(connection, key):
        return None
    thread_id, number = threads.count_turn(connection, question.place)
    values = _new(question) | {"key": key, "thread_id": thread_id, "number": number}
    made = insert(table).values(**values, accepted_at=now).returning(table.c.seq, table.c.id)
    row = connection.execute(made).one()
    connection.execute(
        update(remarks)
        .where(remarks.c.thread_id == thread_id, remarks.c.turn_seq.is_(None))
        .values(turn_seq=row.seq)
    )
    return turns.get(connection, row.id)


def _new(question: Question) -> dict[str, Any]:
    """The id has 16 characters: with a part number it fits Discord's nonce of 25."""
    return {
        "id": secrets.token_hex(8),
        "state": TurnState.QUEUED,
        "person_id": question.person.id,
        "person_name": question.person.name,
        "message_id": question.message_id,
        "text": question.text,
        "unread": unread.dump(Unread(question.attachments, question.wants_earlier)),
        "is_direct": question.is_direct,
    }


def begin(connection: Connection, turn_id: str) -> Turn:
    attempts = table.c.attempts + 1
    _change(connection, turn_id, state=TurnState.RUNNING, attempts=attempts, finished_at=None)
    return turns.get(connection, turn_id)


def note_read(
    connection: Connection,
    turn_id: str,
    files: str,
    earlier: Sequence[tuple[str, str]],
    now: datetime,
) -> Turn:
    _change(connection, turn_id, unread=None, files=files)
    threads.add_earlier(connection, turn_id, earlier, now)
    return turns.get(connection, turn_id)


def put_back(connection: Connection, turn_id: str) -> None:
    """Only what is running: the end of a turn may be committed while its task is cancelled."""
    is_running = and_(table.c.id == turn_id, table.c.state == TurnState.RUNNING)
    values = {"state": TurnState.QUEUED, "attempts": table.c.attempts - 1}
    connection.execute(update(table).where(is_running).values(**values))


def requeue(connection: Connection, turn_id: str, attempts: int | None) -> Turn:
    _change(connection, turn_id, state=TurnState.QUEUED, reply="", rating=0, finished_at=None)
    _change(connection, turn_id, finish_reason=None, **_columns(Usage()))
    if attempts is not None:
        _change(connection, turn_id, attempts=attempts)
    return turns.get(connection, turn_id)


def finish(
    connection: Connection,
    turn_id: str,
    state: TurnState,
    *,
    reply: str,
    reason: FinishReason | None,
    usage: Usage,
    now: datetime,
) -> None:
    _change(connection, turn_id, state=state, reply=reply, finished_at=now)
    _change(connection, turn_id, finish_reason=reason, **_columns(usage))


def edit_question(connection: Connection, turn_id: str, text: str) -> None:
    _change(connection, turn_id, text=text)


def rate(connection: Connection, turn_id: str, rating: int) -> None:
    _change(connection, turn_id, rating=rating)


def add_post(connection: Connection, turn_id: str, part: int, message_id: str) -> None:
    shown = select(table.c.seq, literal(part), literal(message_id)).where(table.c.id == turn_id)
    added = sqlite.insert(posts).from_select(["turn_seq", "part", "message_id"], shown)
    connection.execute(
        added.on_conflict_do_update(
            index_elements=["turn_seq", "part"], set_={"message_id": added.excluded.message_id}
        )
    )


def remove_post(connection: Connection, turn_id: str, part: int) -> None:
    seq = select(table.c.seq).where(table.c.id == turn_id).scalar_subquery()
    connection.execute(delete(posts).where(posts.c.turn_seq == seq, posts.c.part == part))


def _change(connection: Connection, turn_id: str, **values: Any) -> None:
    connection.execute(update(table).where(table.c.id == turn_id).values(**values))


def _columns(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
    }
