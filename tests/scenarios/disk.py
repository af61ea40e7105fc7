"""What stands in Parley's SQLite file, read past Parley."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TURNS = "SELECT seq, id, message_id, state, text, reply, attempts FROM turns ORDER BY seq"
_POSTS = "SELECT message_id FROM posts WHERE turn_seq = ? ORDER BY part"
_AGE = "UPDATE turns SET accepted_at = strftime('%Y-%m-%d %H:%M:%f000', accepted_at, ?)"


@dataclass(frozen=True, slots=True)
class TurnRow:
    id: str
    message_id: str
    state: str
    text: str
    reply: str
    attempts: int
    posts: tuple[str, ...]

    @property
    def is_finished(self) -> bool:
        return self.state not in ("queued", "running")


def turn_rows(database: Path) -> dict[str, TurnRow]:
    """By the message id of the question, oldest first."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        rows = [_row(connection, **dict(row)) for row in connection.execute(_TURNS).fetchall()]
    return {row.message_id: row for row in rows}


def _row(connection: sqlite3.Connection, seq: int, **columns: Any) -> TurnRow:
    posts = connection.execute(_POSTS, (seq,))
    return TurnRow(posts=tuple(post["message_id"] for post in posts), **columns)


def let_pass(database: Path, seconds: float) -> None:
    """As if every turn had been accepted that much earlier."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(_AGE, (f"-{seconds} seconds",))
