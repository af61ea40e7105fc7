"""The usage log in figures: who was answered how often, and how answers ended."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from bot.history.beside import beside
from bot.history.schema import usage
from bot.overview import PersonUsage, TurnCount, UsageSummary
from bot.stored import TurnState


def summarise(path: Path, since: datetime) -> UsageSummary:
    """Of the answers asked for since then. SQLite counts, on a connection that nobody waits for.

    Blocking. Raises ``DataError``.
    """
    with beside(path) as connection:
        is_new = usage.c.asked_at >= since
        turns = tuple(
            TurnCount(row.platform, TurnState(row.state), row.number)
            for row in connection.execute(_by_state(is_new))
        )
        medians: dict[str, float] = dict(map(tuple, connection.execute(_medians(is_new))))
        people = tuple(
            PersonUsage(seconds=medians.get(row.person), **row._mapping)
            for row in connection.execute(_by_person(is_new))
        )
        first = _median_first_token(connection, is_new)
    return UsageSummary(turns=turns, people=people, first_token_seconds=first)


def _by_state(is_new: ColumnElement[bool]) -> Select[Any]:
    names = (usage.c.platform, usage.c.state)
    counted = select(*names, func.count().label("number"))
    return counted.where(is_new).group_by(*names).order_by(*names)


def _by_person(is_new: ColumnElement[bool]) -> Select[Any]:
    answers = func.count().label("answers")
    sums = (
        func.sum(usage.c.prompt_tokens).label("prompt_tokens"),
        func.sum(usage.c.completion_tokens).label("completion_tokens"),
        func.count().filter(usage.c.rating > 0).label("likes"),
        func.count().filter(usage.c.rating < 0).label("dislikes"),
    )
    grouped = select(usage.c.person, answers, *sums).where(is_new).group_by(usage.c.person)
    return grouped.order_by(answers.desc(), usage.c.person)


def _medians(is_new: ColumnElement[bool]) -> Select[Any]:
    """By person, of the seconds in all: the mean of the one or two in the middle."""
    person, seconds = usage.c.person, usage.c.total_seconds
    place = func.row_number().over(partition_by=person, order_by=seconds).label("place")
    number = func.count().over(partition_by=person).label("number")
    ranked = select(person, seconds, place, number).where(is_new, seconds.is_not(None)).subquery()
    is_middle = (2 * ranked.c.place).between(ranked.c.number, ranked.c.number + 2)
    median = func.avg(ranked.c.total_seconds)
    return select(ranked.c.person, median).where(is_middle).group_by(ranked.c.person)


def _median_first_token(connection: Connection, is_new: ColumnElement[bool]) -> float | None:
    seconds = usage.c.first_token_seconds
    known = (is_new, seconds.is_not(None))
    number = connection.scalar(select(func.count()).select_from(usage).where(*known)) or 0
    middle = select(seconds).where(*known).order_by(seconds)
    middle = middle.offset((number - 1) // 2).limit(2 - number % 2)
    return connection.scalar(select(func.avg(middle.subquery().c.first_token_seconds)))
