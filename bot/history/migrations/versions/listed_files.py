"""Files as a list of each, no longer as one text from which they would have to be told apart.

A file can hold what looks like the beginning of another one, so the texts of older turns
become one file each.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    turns = sa.table("turns", sa.column("seq", sa.Integer), sa.column("files", sa.Text))
    connection = op.get_bind()
    read = connection.execute(sa.select(turns).where(turns.c.files != "")).all()
    for seq, text in read:
        file = {"name": "Attached files", "excerpt": text.strip(), "is_cut": False}
        listed = turns.update().where(turns.c.seq == seq).values(files=json.dumps([file]))
        connection.execute(listed)
