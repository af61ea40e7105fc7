"""Every answer of a chat's turn, and which of them counts. Nothing older has any."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "chat_turns",
        _turn_seq(),
        sa.Column("personality", sa.Text, nullable=False),
        sa.Column("chosen", sa.Integer, nullable=False, server_default="0"),
        sa.Column("continued", sa.Integer),
    )
    op.create_table(
        "answers",
        _turn_seq(),
        sa.Column("number", sa.Integer, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("question", "reply", "state", "note", "reasoning", "model", "personality")
        ),
        sa.Column("finish_reason", sa.Text),
        *(sa.Column(f"{name}_seconds", sa.Float) for name in ("first_token", "total")),
        *(
            sa.Column(f"{name}_tokens", sa.Integer, nullable=False)
            for name in ("prompt", "cached", "completion")
        ),
        sa.Column("rating", sa.Integer, nullable=False, server_default="0"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
    )


def _turn_seq() -> sa.Column[int]:
    turn = sa.ForeignKey("turns.seq", ondelete="CASCADE")
    return sa.Column("turn_seq", sa.Integer, turn, primary_key=True)
