"""The channels in which nobody needs to mention Parley."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "listened_channels",
        *(
            sa.Column(name, sa.Text, primary_key=True)
            for name in ("adapter", "workspace", "channel")
        ),
    )
