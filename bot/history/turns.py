"""Turns as they are read: rows, posts and remarks put together."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from bot.history import places, unread
from bot.history.schema import posts, remarks, threads, turns
from bot.types import FinishReason, Person, Place, Post, Turn, TurnState, Usage


def find(connection: Connection, turn_id: str) -> Turn | None:
    return next(iter(_load(connection, turns.c.id == turn_id)), None)


def get(connection: Connection, turn_id: str) -> Turn:
    """Raises LookupError: the turn was forgotten meanwhile."""
    if (turn := find(connection, turn_id)) is None:
        raise LookupError(f"There is no turn {turn_id}.")
    return turn


def of_message(connection: Connection, place: Place, message_id: str) -> Turn | None:
    replied = select(posts.c.turn_seq).where(posts.c.message_id == message_id)
    is_meant = or_(turns.c.message_id == message_id, turns.c.seq.in_(replied))
    found = _load(connection, and_(is_meant, places.channel_is(threads, place)))
    return next(iter(found), None)


def kept(connection: Connection, place: Place) -> list[Turn]:
    """Those that later prompts may show."""
    is_kept = turns.c.number >= threads.c.first_kept
    return _load(connection, and_(places.thread_is(place), is_kept))


def every(connection: Connection, place: Place) -> list[Turn]:
    return _load(connection, places.thread_is(place))


def unfinished(connection: Connection) -> list[Turn]:
    return _load(connection, turns.c.finished_at.is_(None))


def _load(connection: Connection, condition: ColumnElement[bool]) -> list[Turn]:
    """In the order of acceptance, which within a thread is the order of numbers."""
    meant = select(turns.c.seq).join(threads).where(condition)
    rows = connection.execute(
        select(turns, threads.c.adapter, threads.c.workspace, threads.c.channel, threads.c.thread)
        .join(threads)
        .where(condition)
        .order_by(turns.c.seq)
    ).all()
    if not rows:
        return []
    by_turn: dict[int, list[Post]] = defaultdict(list)
    for post in connection.execute(
        select(posts).where(posts.c.turn_seq.in_(meant)).order_by(posts.c.part)
    ):
        by_turn[post.turn_seq].append(Post(post.part, post.message_id))
    said: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for remark in connection.execute(
        select(remarks).where(remarks.c.turn_seq.in_(meant)).order_by(remarks.c.id)
    ):
        said[remark.turn_seq].append((remark.name, remark.text))
    return [_turn(row, tuple(by_turn[row.seq]), tuple(said[row.seq])) for row in rows]


def _turn(
    row: Row[Any], its_posts: tuple[Post, ...], its_remarks: tuple[tuple[str, str], ...]
) -> Turn:
    return Turn(
        id=row.id,
        place=places.of(row),
        number=row.number,
        state=TurnState(row.state),
        person=Person(row.person_id, row.person_name),
        message_id=row.message_id,
        text=row.text,
        accepted_at=row.accepted_at,
        is_direct=row.is_direct,
        reply=row.reply,
        attempts=row.attempts,
        finish_reason=FinishReason(row.finish_reason) if row.finish_reason else None,
        usage=Usage(row.prompt_tokens, row.cached_tokens, row.completion_tokens),
        posts=its_posts,
        remarks=its_remarks,
        unread=unread.load(row.unread),
        files=row.files,
        finished_at=row.finished_at,
    )
