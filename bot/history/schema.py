"""The tables, their column types, and how a place stands in them.

A change of a table needs a migration in ``migrations/versions``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.types import TypeDecorator

from bot.types import Place


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on both sides; SQLite itself stores them without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class CleanText(TypeDecorator[str]):
    """Text in which half a surrogate pair, which no database stores, became U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or value.isascii():
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


metadata = MetaData()

# One row per message or event that Parley has seen. ``goes_at`` is null while the row stands
# for a turn, and a day ahead from when that went; the foreign key of ``turns`` sees to it
# that the key never goes first.
seen = Table(
    "seen",
    metadata,
    Column("key", CleanText, primary_key=True),
    Column("goes_at", UtcTime),
    Index("seen_by_end", "goes_at"),
    sqlite_with_rowid=False,
)

# What a person has asked that is no turn yet, as JSON; ``key`` is that of its event.
owed = Table(
    "owed",
    metadata,
    Column("key", CleanText, primary_key=True),
    Column("asked", CleanText, nullable=False),
    Column("noted_at", UtcTime, nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("adapter", CleanText, primary_key=True),
    Column("workspace", CleanText, primary_key=True),
    Column("channel", CleanText, primary_key=True),
    Column("personality", CleanText, nullable=False),
)

# Those in which nobody needs to mention Parley.
listened_channels = Table(
    "listened_channels",
    metadata,
    Column("adapter", CleanText, primary_key=True),
    Column("workspace", CleanText, primary_key=True),
    Column("channel", CleanText, primary_key=True),
)

# ``last_number`` only grows, so that a pruned turn's number is not given again. ``title`` is null
# unless somebody gave the thread one.
threads = Table(
    "threads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("adapter", CleanText, nullable=False),
    Column("workspace", CleanText, nullable=False),
    Column("channel", CleanText, nullable=False),
    Column("thread", CleanText, nullable=False),
    Column("personality", CleanText),
    Column("last_number", Integer, nullable=False, server_default="0"),
    Column("first_kept", Integer, nullable=False, server_default="1"),
    Column("title", CleanText),
    UniqueConstraint("adapter", "workspace", "channel", "thread", name="threads_by_place"),
)

# ``unread`` is null once the question's files and what was said before it are read. ``files``
# is a JSON list of what was read of each, or empty.
turns = Table(
    "turns",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", CleanText, nullable=False, unique=True),
    Column("key", CleanText, ForeignKey("seen.key"), nullable=False, unique=True),
    Column("thread_id", ForeignKey("threads.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", CleanText, nullable=False),
    Column("person_id", CleanText, nullable=False),
    Column("person_name", CleanText, nullable=False),
    Column("message_id", CleanText, nullable=False),
    Column("text", CleanText, nullable=False),
    Column("is_direct", Boolean, nullable=False),
    Column("accepted_at", UtcTime, nullable=False),
    Column("reply", CleanText, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("finish_reason", CleanText),
    Column("prompt_tokens", Integer, nullable=False, server_default="0"),
    Column("cached_tokens", Integer, nullable=False, server_default="0"),
    Column("completion_tokens", Integer, nullable=False, server_default="0"),
    Column("rating", Integer, nullable=False, server_default="0"),
    Column("finished_at", UtcTime),
    Column("unread", CleanText),
    Column("files", CleanText, nullable=False, server_default=""),
    Column("asked_again_at", UtcTime),
    Column("above", CleanText, nullable=False, server_default=""),
    UniqueConstraint("thread_id", "number", name="turns_by_number"),
    Index("turns_by_message", "message_id"),
    Index("turns_by_person", "person_id", "thread_id"),
    Index("turns_by_end", "finished_at"),
    Index(
        "turns_unfinished",
        "seq",
        sqlite_where=text("finished_at IS NULL"),
    ),
)

posts = Table(
    "posts",
    metadata,
    Column("turn_seq", ForeignKey("turns.seq", ondelete="CASCADE"), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("message_id", CleanText, nullable=False),
    Index("posts_by_message", "message_id"),
)

# What people think of the turn's newest answer, ``seq`` in the order in which they said so.
votes = Table(
    "votes",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("turn_seq", ForeignKey("turns.seq", ondelete="CASCADE"), nullable=False),
    Column("person_id", CleanText, nullable=False),
    Column("rating", Integer, nullable=False),
    Column("is_pressed", Boolean, nullable=False),
    UniqueConstraint("turn_seq", "person_id", name="votes_by_person"),
)

# ``turn_seq`` is null until the thread's next question comes; ``key`` is null for what was said
# before Parley took part.
remarks = Table(
    "remarks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("thread_id", ForeignKey("threads.id", ondelete="CASCADE"), nullable=False),
    Column("turn_seq", ForeignKey("turns.seq", ondelete="CASCADE")),
    Column("person_id", CleanText, nullable=False),
    Column("name", CleanText, nullable=False),
    Column("text", CleanText, nullable=False),
    Column("said_at", UtcTime, nullable=False),
    Column("key", CleanText),
    Index("remarks_by_thread", "thread_id", "turn_seq"),
    Index("remarks_by_turn", "turn_seq"),
    Index("remarks_by_key", "key"),
)

# A turn of a chat has all its answers in ``answers``; its own row is that of the ``chosen`` one.
# While it is unfinished, ``continued`` is the number of the answer that becomes longer, if any.
chat_turns = Table(
    "chat_turns",
    metadata,
    Column("turn_seq", ForeignKey("turns.seq", ondelete="CASCADE"), primary_key=True),
    Column("personality", CleanText, nullable=False),
    Column("chosen", Integer, nullable=False, server_default="0"),
    Column("continued", Integer),
)

answers = Table(
    "answers",
    metadata,
    Column("turn_seq", ForeignKey("turns.seq", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("question", CleanText, nullable=False),
    Column("reply", CleanText, nullable=False),
    Column("state", CleanText, nullable=False),
    Column("note", CleanText, nullable=False),
    Column("reasoning", CleanText, nullable=False),
    Column("model", CleanText, nullable=False),
    Column("personality", CleanText, nullable=False),
    Column("finish_reason", CleanText),
    Column("first_token_seconds", Float),
    Column("total_seconds", Float),
    Column("prompt_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("rating", Integer, nullable=False, server_default="0"),
    Column("finished_at", UtcTime, nullable=False),
)

# One row for each answer, with no text; it outlives the turn. Several rows have a turn's id where
# that was answered again. Seconds are null where they are not known.
usage = Table(
    "usage",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("answer_id", CleanText, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("person", CleanText, nullable=False),
    Column("platform", CleanText, nullable=False),
    Column("place", CleanText, nullable=False),
    Column("personality", CleanText, nullable=False),
    Column("model", CleanText, nullable=False),
    Column("state", CleanText, nullable=False),
    Column("finish_reason", CleanText),
    Column("queue_seconds", Float),
    Column("first_token_seconds", Float),
    Column("total_seconds", Float),
    Column("prompt_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("rating", Integer, nullable=False, server_default="0"),
    Index("usage_by_answer", "answer_id"),
    Index("usage_by_time", "asked_at"),
)


def channel_columns(place: Place) -> dict[str, str]:
    return {"adapter": place.adapter, "workspace": place.workspace, "channel": place.channel}


def channel_is(table: Table, place: Place) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in channel_columns(place).items()))


def thread_is(place: Place) -> ColumnElement[bool]:
    return and_(channel_is(threads, place), threads.c.thread == place.thread)


def place_of(row: Row[Any]) -> Place:
    return Place(row.adapter, row.workspace, row.channel, row.thread)
