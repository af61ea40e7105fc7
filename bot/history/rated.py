"""The answers that people voted on, as a command reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from sqlalchemy import Connection

from bot.history import answers, usage
from bot.history.beside import beside
from bot.stored import AnsweredTurn, AnswerUsage
from bot.types import Place

_MAX_EARLIER = 8
"""Turns before the question that come with it."""


@dataclass(frozen=True, slots=True)
class RatedText:
    """``earlier``: questions and replies of the thread before, oldest first.

    ``has_files``: the question came with some, which are not kept.
    """

    question: str
    reply: str
    earlier: tuple[tuple[str, str], ...] = ()
    has_files: bool = False


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """``text`` None: it was not asked for, is forgotten, or was a program's."""

    usage: AnswerUsage
    text: RatedText | None = None

    @property
    def is_liked(self) -> bool:
        return self.usage.rating > 0


def read_rated(path: Path, since: datetime | None, *, with_text: bool) -> list[RatedAnswer]:
    """Beside a running Parley, or without one, oldest first. Blocks. Raises ``DataError``."""
    with beside(path) as connection:
        rows = usage.rated(connection, since)
        if not with_text:
            return [RatedAnswer(row) for row in rows]
        return list(_with_texts(connection, rows))


def _with_texts(connection: Connection, rows: Sequence[AnswerUsage]) -> Iterable[RatedAnswer]:
    @cache
    def thread(place: str) -> list[AnsweredTurn]:
        return answers.of_thread(connection, Place.parse(place))

    for row in rows:
        yield RatedAnswer(row, _text(thread(row.place), row.answer_id) if row.place else None)


def _text(thread: Sequence[AnsweredTurn], answer_id: str) -> RatedText | None:
    turn_id, _, number = answer_id.partition(".")
    place = next((n for n, each in enumerate(thread) if each.turn.id == turn_id), None)
    if place is None:
        return None
    asked = thread[place]
    answer = asked.answer(int(number)) if number else None
    if number and answer is None:
        return None
    turn = asked.turn
    before = [each.turn for each in thread[max(0, place - _MAX_EARLIER) : place]]
    return RatedText(
        question=answer.question if answer else turn.text,
        reply=answer.reply if answer else turn.reply,
        earlier=tuple((each.text, each.reply) for each in before if each.text and each.reply),
        has_files=bool(turn.files),
    )
