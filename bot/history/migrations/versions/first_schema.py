"""Threads, turns, posts, remarks, channels, and the keys of what was seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_keys_and_channels()
    _create_threads()
    _create_turns()
    _create_posts_and_remarks()


def _create_keys_and_channels() -> None:
    op.create_table(
        "seen",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("goes_at", sa.DateTime(timezone=True)),
        sqlite_with_rowid=False,
    )
    op.create_index("seen_by_end", "seen", ["goes_at"])
    op.create_table(
        "channels",
        sa.Column("adapter", sa.Text, primary_key=True),
        sa.Column("workspace", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("personality", sa.Text, nullable=False),
    )


def _create_threads() -> None:
    op.create_table(
        "threads",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("adapter", sa.Text, nullable=False),
        sa.Column("workspace", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("thread", sa.Text, nullable=False),
        sa.Column("personality", sa.Text),
        sa.Column("last_number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("first_kept", sa.Integer, nullable=False, server_default="1"),
        sa.UniqueConstraint("adapter", "workspace", "channel", "thread", name="threads_by_place"),
    )


def _create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("key", sa.Text, sa.ForeignKey("seen.key"), nullable=False, unique=True),
        sa.Column(
            "thread_id",
            sa.Integer,
            sa.ForeignKey("threads.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("person_name", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("is_direct", sa.Boolean, nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reply", sa.Text, nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("finish_reason", sa.Text),
        sa.Column("prompt_tokens", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cached_tokens", sa.Integer, nullable=False, server_default="0"),
        sa.Column("completion_tokens", sa.Integer, nullable=False, server_default="0"),
        sa.Column("rating", sa.Integer, nullable=False, server_default="0"),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("thread_id", "number", name="turns_by_number"),
    )
    op.create_index("turns_by_message", "turns", ["message_id"])
    op.create_index("turns_by_person", "turns", ["person_id", "thread_id"])
    op.create_index("turns_by_end", "turns", ["finished_at"])
    op.create_index(
        "turns_unfinished",
        "turns",
        ["seq"],
        sqlite_where=sa.text("finished_at IS NULL"),
    )


def _create_posts_and_remarks() -> None:
    turn = ("turn_seq", sa.Integer, sa.ForeignKey("turns.seq", ondelete="CASCADE"))
    op.create_table(
        "posts",
        sa.Column(*turn, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("message_id", sa.Text, nullable=False),
    )
    op.create_index("posts_by_message", "posts", ["message_id"])
    op.create_table(
        "remarks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "thread_id",
            sa.Integer,
            sa.ForeignKey("threads.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("turn_seq", sa.Integer, sa.ForeignKey("turns.seq", ondelete="CASCADE")),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("remarks_by_thread", "remarks", ["thread_id", "turn_seq"])
    op.create_index("remarks_by_turn", "remarks", ["turn_seq"])
