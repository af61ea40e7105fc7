"""When a turn was last asked again, and what stands above its reply."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("turns", sa.Column("asked_again_at", sa.DateTime(timezone=True)))
    above = sa.Column("above", sa.Text, nullable=False, server_default="")
    op.add_column("turns", above)
