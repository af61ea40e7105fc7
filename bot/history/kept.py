"""The threads of every platform, as a command reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, select, true

from bot.history import answers, threads, usage
from bot.history.beside import beside
from bot.history.folding import folded
from bot.history.schema import place_of, turns
from bot.history.schema import threads as thread_table
from bot.stored import (
    AnsweredTurn,
    AnswerUsage,
    StoredAnswer,
    ThreadSummary,
)
from bot.types import Person, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadFilter:
    """``person``: an id, or part of a name. ``since``: when somebody asked last."""

    platform: str = ""
    person: str = ""
    since: datetime | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class KeptThread:
    """A thread in the list, and who asked in it."""

    summary: ThreadSummary
    people: tuple[Person, ...]


class KeptThreads:
    """One snapshot of all threads. Blocking."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, wanted: ThreadFilter) -> list[KeptThread]:
        """Those of which all of it holds, newest first."""
        found = threads.found(self._connection, _condition(wanted), wanted.search)
        people = self._people()
        return [
            KeptThread(each, people[each.place])
            for each in found
            if _is_of(people[each.place], wanted.person)
        ]

    def _people(self) -> dict[Place, tuple[Person, ...]]:
        asked = select(thread_table, turns.c.person_id, turns.c.person_name).distinct()
        people: dict[Place, dict[str, Person]] = {}
        for row in self._connection.execute(asked.join(turns)):
            of_thread = people.setdefault(place_of(row), {})
            of_thread[row.person_id] = Person(row.person_id, row.person_name)
        return {place: tuple(each.values()) for place, each in people.items()}

    def turns(self, place: Place) -> list[AnsweredTurn]:
        """Elsewhere than in chats a turn has one answer, of which the usage log knows the rest."""
        found = answers.of_thread(self._connection, place)
        bare = (each.turn for each in found if not each.answers)
        ids = {turn.id for turn in bare if turn.state.is_finished}
        logged = usage.of_answers(self._connection, ids)
        return [
            _with_answer(each, logged.get(each.turn.id)) if each.turn.id in ids else each
            for each in found
        ]


@contextmanager
def kept_threads(path: Path) -> Iterator[KeptThreads]:
    """Beside a running Parley, or without one. Raises ``DataError``."""
    with beside(path) as connection:
        yield KeptThreads(connection)


def _with_answer(asked: AnsweredTurn, logged: AnswerUsage | None) -> AnsweredTurn:
    turn = asked.turn
    answer = StoredAnswer(
        number=1,
        question=turn.text,
        reply=turn.reply,
        state=turn.state,
        reason=turn.finish_reason,
        usage=turn.usage,
        finished_at=turn.finished_at,
    )
    if logged is not None:
        answer = replace(
            answer,
            model=logged.model,
            personality=logged.personality,
            first_token_seconds=logged.first_token_seconds,
            total_seconds=logged.total_seconds,
            rating=logged.rating,
        )
    return replace(asked, answers=(answer,), chosen=1)


def _condition(wanted: ThreadFilter) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [true()]
    if wanted.platform:
        conditions.append(thread_table.c.adapter == wanted.platform)
    if wanted.since is not None:
        recent = select(turns.c.thread_id).where(turns.c.accepted_at >= wanted.since)
        conditions.append(thread_table.c.id.in_(recent))
    return and_(*conditions)


def _is_of(people: tuple[Person, ...], wanted: str) -> bool:
    bare = folded(wanted)
    return not wanted or any(each.id == wanted or bare in folded(each.name) for each in people)
