"""Who asked when, and how long it took. Of turns that have ended, what is known of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("answer_id", sa.Text, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("person", "platform", "place", "personality", "model", "state")
        ),
        sa.Column("finish_reason", sa.Text),
        *(sa.Column(f"{name}_seconds", sa.Float) for name in ("queue", "first_token", "total")),
        *(
            sa.Column(f"{name}_tokens", sa.Integer, nullable=False)
            for name in ("prompt", "cached", "completion")
        ),
        sa.Column("rating", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("usage_by_answer", "usage", ["answer_id"])
    op.create_index("usage_by_time", "usage", ["asked_at"])
    op.execute(
        "INSERT INTO usage (answer_id, asked_at, person, platform, place, personality, model, "
        "state, finish_reason, prompt_tokens, cached_tokens, completion_tokens, rating) "
        "SELECT turns.id, accepted_at, person_id, adapter, "
        "adapter || ':' || workspace || '/' || channel || '/' || thread, '', '', "
        "state, finish_reason, prompt_tokens, cached_tokens, completion_tokens, rating "
        "FROM turns JOIN threads ON threads.id = turns.thread_id "
        "WHERE finished_at IS NOT NULL ORDER BY turns.seq"
    )
