"""Which message a remark is, so that it can be edited and deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("remarks", sa.Column("key", sa.Text))
    op.create_index("remarks_by_key", "remarks", ["key"])
