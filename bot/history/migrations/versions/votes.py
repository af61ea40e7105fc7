"""Who voted how on which turn. Of older votes only the newest is known, as the turn's rating."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    turn = sa.ForeignKey("turns.seq", ondelete="CASCADE")
    op.create_table(
        "votes",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("turn_seq", sa.Integer, turn, nullable=False),
        sa.Column("person_id", sa.Text, nullable=False),
        sa.Column("rating", sa.Integer, nullable=False),
        sa.Column("is_pressed", sa.Boolean, nullable=False),
        sa.UniqueConstraint("turn_seq", "person_id", name="votes_by_person"),
    )
