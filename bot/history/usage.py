"""The usage log: a row for each answer, with who asked when and how long it took."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from bot.generation import FinishReason, Usage
from bot.history.beside import beside
from bot.history.schema import answers, turns, usage
from bot.stored import AnswerUsage, TurnState

_AT_ONCE = 1_000
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")


def add(connection: Connection, rows: Sequence[AnswerUsage]) -> None:
    connection.execute(insert(usage), [_values(row) for row in rows])
    ids = {row.answer_id for row in rows}
    for answer_id, rating in (*_rated_turns(connection, ids), *_rated_answers(connection, ids)):
        rate(connection, answer_id, rating)


def id_of_answer(turn_id: str, number: int) -> str:
    """Of a chat's turn, which may have several."""
    return f"{turn_id}.{number}"


def _rated_turns(connection: Connection, ids: set[str]) -> Iterator[tuple[str, int]]:
    is_rated = and_(turns.c.id.in_(ids), turns.c.rating != 0)
    for row in connection.execute(select(turns.c.id, turns.c.rating).where(is_rated)).all():
        yield row.id, row.rating


def _rated_answers(connection: Connection, ids: set[str]) -> Iterator[tuple[str, int]]:
    turn_ids = {each.partition(".")[0] for each in ids if "." in each}
    is_rated = and_(turns.c.id.in_(turn_ids), answers.c.rating != 0)
    found = select(turns.c.id, answers.c.number, answers.c.rating).join(
        turns, turns.c.seq == answers.c.turn_seq
    )
    for row in connection.execute(found.where(is_rated)).all() if turn_ids else ():
        if (answer_id := id_of_answer(row.id, row.number)) in ids:
            yield answer_id, row.rating


def rate(connection: Connection, answer_id: str, rating: int) -> int:
    """Rate the newest answer of this id; how many there are: 0 or 1."""
    newest = select(func.max(usage.c.seq)).where(usage.c.answer_id == answer_id)
    changed = update(usage).where(usage.c.seq == newest.scalar_subquery())
    return connection.execute(changed.values(rating=rating)).rowcount


def vote(connection: Connection, answer_id: str, account: str, rating: int) -> bool:
    """``account``: a program's, as ``http:KEY``; its people are ``http:KEY/USER``."""
    is_own = or_(
        usage.c.person == account, usage.c.person.startswith(f"{account}/", autoescape=True)
    )
    asked = select(usage.c.seq).where(usage.c.answer_id == answer_id, is_own).limit(1)
    return connection.scalar(asked) is not None and bool(rate(connection, answer_id, rating))


def drop(connection: Connection, limit: int, before: datetime) -> int:
    """Drop at most ``limit`` answers that were asked for before; returns how many."""
    old = select(usage.c.seq).where(usage.c.asked_at < before).limit(limit)
    return connection.execute(delete(usage).where(usage.c.seq.in_(old))).rowcount


def read(path: Path, since: datetime | None) -> Iterator[AnswerUsage]:
    """Every answer asked for since then, oldest first, beside a running Parley or without one.

    Blocking; however many there are, a few are in memory. Raises ``DataError``.
    """
    with beside(path) as connection:
        asked = select(usage).order_by(usage.c.asked_at, usage.c.seq)
        if since is not None:
            asked = asked.where(usage.c.asked_at >= since)
        for row in connection.execute(asked, execution_options={"yield_per": _AT_ONCE}):
            yield _row(row)


def rated(connection: Connection, since: datetime | None) -> list[AnswerUsage]:
    """The answers with a vote, asked for since then, oldest first; of each id the newest."""
    newest = select(func.max(usage.c.seq)).group_by(usage.c.answer_id)
    asked = select(usage).where(usage.c.rating != 0, usage.c.seq.in_(newest))
    if since is not None:
        asked = asked.where(usage.c.asked_at >= since)
    return [_row(row) for row in connection.execute(asked.order_by(usage.c.seq))]


def of_answers(connection: Connection, ids: Collection[str]) -> dict[str, AnswerUsage]:
    """The newest row of each id."""
    rows = connection.execute(select(usage).where(usage.c.answer_id.in_(ids)).order_by(usage.c.seq))
    return {row.answer_id: _row(row) for row in rows}


def _values(row: AnswerUsage) -> dict[str, Any]:
    values = {name: value for name, value in asdict(row).items() if name != "usage"}
    return values | {name: getattr(row.usage, name) for name in _TOKENS}


def _row(row: Row[Any]) -> AnswerUsage:
    reason = row.finish_reason
    return AnswerUsage(
        answer_id=row.answer_id,
        asked_at=row.asked_at,
        person=row.person,
        platform=row.platform,
        place=row.place,
        personality=row.personality,
        model=row.model,
        state=TurnState(row.state),
        finish_reason=FinishReason(reason) if reason else None,
        queue_seconds=row.queue_seconds,
        first_token_seconds=row.first_token_seconds,
        total_seconds=row.total_seconds,
        usage=Usage(*(getattr(row, name) for name in _TOKENS)),
        rating=row.rating,
    )
