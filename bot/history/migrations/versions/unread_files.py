"""What is still to be read for a question, and the text of its files once it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("turns", sa.Column("unread", sa.Text))
    op.add_column("turns", sa.Column("files", sa.Text, nullable=False, server_default=""))
