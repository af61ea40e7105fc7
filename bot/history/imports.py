"""A thread that comes from elsewhere, or from another: all its turns, with all their answers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from bot.history import answers as answers_of
from bot.history.schema import answers, chat_turns, remarks, seen, thread_is, threads, turns
from bot.history.turns import message_key, note_read
from bot.stored import AnsweredTurn, Turn
from bot.types import Place, Question


def add(
    connection: Connection,
    place: Place,
    asked: Sequence[AnsweredTurn],
    *,
    title: str,
    personality: str | None,
) -> None:
    """The turns are numbered anew, and their ids and messages are new. One statement a table."""
    values = {"personality": personality, "last_number": len(asked), "title": title or None}
    made = insert(threads).values(**asdict(place), **values).returning(threads.c.id)
    thread_id = connection.execute(made).scalar_one()
    rows = [
        {"thread_id": thread_id, "number": number, **_turn(each, place)}
        for number, each in enumerate(asked, start=1)
    ]
    _insert(connection, seen, [{"key": row["key"]} for row in rows])
    _insert(connection, turns, rows)
    numbered = select(turns.c.seq).where(turns.c.thread_id == thread_id).order_by(turns.c.number)
    stored = list(zip(connection.scalars(numbered), asked, strict=True))
    _insert(connection, chat_turns, [_counts(seq, each) for seq, each in stored])
    given = [
        {"turn_seq": seq, **answers_of.values_of(one)}
        for seq, each in stored
        for one in each.answers
    ]
    _insert(connection, answers, given)
    said = [{"thread_id": thread_id, **row} for seq, each in stored for row in _said(seq, each)]
    _insert(connection, remarks, said)


def branch(
    connection: Connection, turn_id: str, question: Question, personality: str, now: datetime
) -> Turn | None:
    if (instead := answers_of.find(connection, turn_id)) is None:
        return None
    every = answers_of.of_thread(connection, instead.turn.place)
    before = [each for each in every if each.turn.number < instead.turn.number]
    title = connection.scalar(select(threads.c.title).where(thread_is(instead.turn.place)))
    chosen = question.personality
    add(connection, question.place, before, title=title or "", personality=chosen)
    turn = answers_of.ask(connection, question, personality, now)
    files = [each for each in instead.turn.files if not each.is_gathered]
    return turn and note_read(connection, turn.id, files, (), now)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _counts(seq: int, asked: AnsweredTurn) -> dict[str, Any]:
    return {"turn_seq": seq, "personality": asked.personality, "chosen": asked.chosen}


def _said(seq: int, asked: AnsweredTurn) -> list[dict[str, Any]]:
    person_id, said_at = asked.turn.person.id, asked.turn.accepted_at
    return [
        {"turn_seq": seq, "person_id": person_id, "name": name, "text": text, "said_at": said_at}
        for name, text in asked.turn.remarks
    ]


def _turn(asked: AnsweredTurn, place: Place) -> dict[str, Any]:
    turn, message_id = asked.turn, secrets.token_hex(16)
    return {
        "id": secrets.token_hex(8),
        "key": message_key(place, message_id),
        "message_id": message_id,
        "state": turn.state,
        "person_id": turn.person.id,
        "person_name": turn.person.name,
        "text": turn.text,
        "is_direct": turn.is_direct,
        "accepted_at": turn.accepted_at,
        "reply": turn.reply,
        "finish_reason": turn.finish_reason,
        "prompt_tokens": turn.usage.prompt_tokens,
        "cached_tokens": turn.usage.cached_tokens,
        "completion_tokens": turn.usage.completion_tokens,
        "finished_at": turn.finished_at,
        "files": json.dumps([asdict(each) for each in turn.files]) if turn.files else "",
    }
