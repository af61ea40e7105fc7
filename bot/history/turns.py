"""Turns with their posts and remarks, from accepted to finished; deduplication.

Each function is the work of one transaction. A turn may have been forgotten meanwhile: then
there is nothing to change; ``get``, ``begin``, ``note_read``, ``add_sources`` and ``requeue`` raise
LookupError.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from bot.generation import FinishReason, Usage
from bot.history import threads
from bot.history import usage as usage_log
from bot.history.schema import (
    UtcTime,
    channel_is,
    place_of,
    posts,
    remarks,
    seen,
    thread_is,
    turns,
    votes,
)
from bot.history.schema import threads as thread_table
from bot.source import Source
from bot.stored import Post, Turn, TurnState
from bot.types import Attachment, Incoming, Person, Place, Question, Unread

GRACE = timedelta(days=1)
"""How long a deduplication key outlives its turn, or its event."""

DELETED = timedelta(minutes=10)
"""How long a message that was deleted before it was delivered is refused, at least."""

_REMARK = ("thread_id", "turn_seq", "person_id", "name", "text", "said_at")


def message_key(place: Place, message_id: str) -> str:
    """The parts of the place are escaped, so the opaque id at the end cannot be mistaken."""
    return f"message {place.channel_form}/{message_id}"


def remark_key(place: Place, message_id: str) -> str:
    """Not that of a question: an edit may make it one."""
    return f"remark {place.channel_form}/{message_id}"


def event_key(incoming: Incoming) -> str:
    return f"event {incoming.place.adapter}/{incoming.event_id}"


def note_key(connection: Connection, key: str, goes_at: datetime | None) -> bool:
    """Whether ``key`` is new. It is kept until ``goes_at``; None: until ``release_keys``."""
    added = sqlite.insert(seen).values(key=key, goes_at=goes_at).on_conflict_do_nothing()
    return connection.execute(added).rowcount == 1


def _is_seen(connection: Connection, key: str) -> bool:
    return connection.scalar(select(seen.c.key).where(seen.c.key == key)) is not None


def release_keys(connection: Connection, going: ColumnElement[bool], now: datetime) -> None:
    """The time of grace begins for the keys of turns that are about to be deleted."""
    keys = select(turns.c.key).where(going)
    connection.execute(update(seen).where(seen.c.key.in_(keys)).values(goes_at=now + GRACE))


def drop_keys(connection: Connection, limit: int, now: datetime) -> int:
    """Drop at most ``limit`` keys whose time is over; returns how many."""
    over = select(seen.c.key).where(seen.c.goes_at <= now).limit(limit)
    return connection.execute(delete(seen).where(seen.c.key.in_(over))).rowcount


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
    found = _load(connection, and_(is_meant, channel_is(thread_table, place)))
    return next(iter(found), None)


def kept(connection: Connection, place: Place) -> list[Turn]:
    """The turns that later prompts may show."""
    is_kept = turns.c.number >= thread_table.c.first_kept
    return _load(connection, and_(thread_is(place), is_kept))


def every(connection: Connection, place: Place) -> list[Turn]:
    return _load(connection, thread_is(place))


def unfinished(connection: Connection) -> list[Turn]:
    return _load(connection, turns.c.finished_at.is_(None))


def awaited(connection: Connection, adapter: str) -> set[str]:
    is_meant = and_(turns.c.unread.is_not(None), thread_table.c.adapter == adapter)
    unread = select(turns.c.unread).join(thread_table).where(is_meant)
    found = map(_unread, connection.scalars(unread))
    return {attachment.url for each in found for attachment in each.attachments}


def _load(connection: Connection, condition: ColumnElement[bool]) -> list[Turn]:
    """In the order of acceptance, which within a thread is the order of numbers."""
    meant = select(turns.c.seq).join(thread_table).where(condition)
    place = (thread_table.c[name] for name in ("adapter", "workspace", "channel", "thread"))
    rows = connection.execute(
        select(turns, *place).join(thread_table).where(condition).order_by(turns.c.seq)
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
        place=place_of(row),
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
        unread=_unread(row.unread),
        files=_files(row.files),
        finished_at=row.finished_at,
        asked_again_at=row.asked_again_at,
        above=row.above,
    )


def _unread(text: str | None) -> Unread:
    if text is None:
        return Unread()
    found = json.loads(text)
    return Unread(tuple(Attachment(**each) for each in found["attachments"]), found["earlier"])


def _files(text: str) -> tuple[Source, ...]:
    return tuple(Source(**each) for each in json.loads(text)) if text else ()


def accept(
    connection: Connection,
    question: Question,
    now: datetime,
    earlier: Sequence[tuple[str, str]] = (),
) -> Turn | None:
    key = message_key(question.place, question.message_id)
    if not note_key(connection, key, None):
        return None
    thread_id, number = threads.count_turn(connection, question.place)
    values = _new(question) | {"key": key, "thread_id": thread_id, "number": number}
    made = insert(turns).values(**values, accepted_at=now).returning(turns.c.seq, turns.c.id)
    row = connection.execute(made).one()
    drop_remark(connection, question.place, question.message_id)
    connection.execute(
        update(remarks)
        .where(remarks.c.thread_id == thread_id, remarks.c.turn_seq.is_(None))
        .values(turn_seq=row.seq)
    )
    _add_earlier(connection, row.id, earlier, now)
    return get(connection, row.id)


def _new(question: Question) -> dict[str, Any]:
    """The id has 16 characters: with a part number it fits Discord's nonce of 25."""
    unread = Unread(question.attachments, question.wants_earlier)
    return {
        "id": secrets.token_hex(8),
        "state": TurnState.QUEUED,
        "person_id": question.person.id,
        "person_name": question.person.name,
        "message_id": question.message_id,
        "text": question.text,
        "unread": json.dumps(asdict(unread)) if unread else None,
        "is_direct": question.is_direct,
    }


def add_remark(connection: Connection, question: Question, now: datetime) -> None:
    """A remark that is there already was edited."""
    thread_id = threads.known_id(connection, question.place)
    if thread_id is None or _is_seen(connection, message_key(question.place, question.message_id)):
        return
    key = remark_key(question.place, question.message_id)
    if not note_key(connection, key, now + GRACE):
        connection.execute(update(remarks).where(remarks.c.key == key).values(text=question.text))
        return
    person = {"person_id": question.person.id, "name": question.person.name}
    said = {"thread_id": thread_id, "text": question.text, "said_at": now, "key": key}
    connection.execute(insert(remarks).values(**person, **said))


def note_deleted(connection: Connection, place: Place, message_id: str, now: datetime) -> None:
    note_key(connection, message_key(place, message_id), now + DELETED)
    drop_remark(connection, place, message_id)


def drop_remark(connection: Connection, place: Place, message_id: str) -> None:
    connection.execute(delete(remarks).where(remarks.c.key == remark_key(place, message_id)))


def begin(connection: Connection, turn_id: str) -> Turn:
    attempts = turns.c.attempts + 1
    _change(connection, turn_id, state=TurnState.RUNNING, attempts=attempts, finished_at=None)
    return get(connection, turn_id)


def note_read(
    connection: Connection,
    turn_id: str,
    files: Sequence[Source],
    earlier: Sequence[tuple[str, str]],
    now: datetime,
) -> Turn:
    _change(connection, turn_id, unread=None, files=_as_json(files))
    _add_earlier(connection, turn_id, earlier, now)
    return get(connection, turn_id)


def add_sources(connection: Connection, turn_id: str, text: str, sources: Sequence[Source]) -> Turn:
    turn = get(connection, turn_id)
    if turn.text != text:
        return turn
    _change(connection, turn_id, files=_as_json((*turn.files, *sources)))
    return get(connection, turn_id)


def _as_json(files: Sequence[Source]) -> str:
    return json.dumps([asdict(each) for each in files]) if files else ""


def _add_earlier(
    connection: Connection, turn_id: str, earlier: Sequence[tuple[str, str]], now: datetime
) -> None:
    """Keep the messages from before Parley took part as remarks of the thread's first question.

    They count as the asker's: Parley was not there when they were posted, and the platform
    keeps them.
    """
    for name, text in earlier:
        said = select(
            turns.c.thread_id,
            turns.c.seq,
            turns.c.person_id,
            *map(literal, (name, text)),
            literal(now, UtcTime),
        ).where(turns.c.id == turn_id)
        connection.execute(insert(remarks).from_select(_REMARK, said))


def put_back(connection: Connection, turn_id: str) -> None:
    """Only a running turn: its end may be committed while its task is cancelled."""
    is_running = and_(turns.c.id == turn_id, turns.c.state == TurnState.RUNNING)
    values = {"state": TurnState.QUEUED, "attempts": turns.c.attempts - 1}
    connection.execute(update(turns).where(is_running).values(**values))


def requeue(connection: Connection, turn_id: str, now: datetime, *, goes_on: bool) -> Turn:
    queued = TurnState.QUEUED
    if goes_on:
        usage_log.rate(connection, turn_id, 0)  # the row of the longer answer gets it
        _change(connection, turn_id, state=queued, finished_at=None)
    else:
        finish(connection, turn_id, queued, reply="", reason=None, usage=Usage(), now=None)
        own = [each for each in get(connection, turn_id).files if not each.is_gathered]
        _change(connection, turn_id, rating=0, files=_as_json(own))
        connection.execute(delete(votes).where(votes.c.turn_seq == _seq_of(turn_id)))
    _change(connection, turn_id, attempts=0, asked_again_at=now)
    return get(connection, turn_id)


def finish(
    connection: Connection,
    turn_id: str,
    state: TurnState,
    *,
    reply: str,
    reason: FinishReason | None,
    usage: Usage,
    now: datetime | None,
    above: str = "",
) -> None:
    _change(
        connection,
        turn_id,
        state=state,
        reply=reply,
        finished_at=now,
        finish_reason=reason,
        above=above,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
    )


def edit_question(connection: Connection, turn_id: str, text: str) -> None:
    asked = select(turns.c.text, turns.c.files).where(turns.c.id == turn_id)
    if (before := connection.execute(asked).one_or_none()) and before.text != text:
        own = [each for each in _files(before.files) if not each.is_gathered]
        _change(connection, turn_id, text=text, files=_as_json(own))


def read_as(connection: Connection, turn_id: str, text: str) -> None:
    """It read so once, and counts so again; whatever was gathered stays."""
    _change(connection, turn_id, text=text)


def _change(connection: Connection, turn_id: str, **values: Any) -> None:
    connection.execute(update(turns).where(turns.c.id == turn_id).values(**values))


def add_post(connection: Connection, turn_id: str, part: int, message_id: str) -> None:
    shown = select(turns.c.seq, literal(part), literal(message_id)).where(turns.c.id == turn_id)
    added = sqlite.insert(posts).from_select(["turn_seq", "part", "message_id"], shown)
    connection.execute(
        added.on_conflict_do_update(
            index_elements=["turn_seq", "part"], set_={"message_id": added.excluded.message_id}
        )
    )


def remove_post(connection: Connection, turn_id: str, part: int) -> None:
    is_it = (posts.c.turn_seq == _seq_of(turn_id), posts.c.part == part)
    connection.execute(delete(posts).where(*is_it))


def _seq_of(turn_id: str) -> ScalarSelect[int]:
    return select(turns.c.seq).where(turns.c.id == turn_id).scalar_subquery()
