"""The usage log in figures, as the admin's view shows it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.errors import DataError
from bot.generation import Usage
from bot.history import SqlThreadStore
from bot.history.summaries import summarise
from bot.overview import PersonUsage, TurnCount, UsageSummary
from bot.stored import AnswerUsage, TurnState
from tests.bot.history.test_usage import ROW
from tests.fakes.clock import START


def row(person: str, seconds: float | None, **changes: Any) -> AnswerUsage:
    number = next(_NUMBERS)
    changed: dict[str, Any] = {
        "person": person,
        "total_seconds": seconds,
        "platform": "web",
        **changes,
    }
    return replace(ROW, answer_id=f"a{number}", usage=Usage(10, 5, 7), **changed)


_NUMBERS = iter(range(1_000))


async def summary(path: Path) -> UsageSummary:
    return await asyncio.to_thread(summarise, path, START)


async def test_people_are_counted_with_the_median_of_their_seconds(
    sql_store: SqlThreadStore, path: Path
) -> None:
    seconds = (9.0, 1.0, 2.0, None, 5.0)
    rows = [row("web:ann/ann", each) for each in seconds]
    rows += [row("web:bob/bob", 3.0, rating=1), row("web:bob/bob", 1.0, rating=-1)]
    await sql_store.add_usage([*rows, row("web:cy/cy", None)])
    ann, bob, cy = (await summary(path)).people
    assert ann == PersonUsage(
        person="web:ann/ann",
        answers=5,
        prompt_tokens=50,
        completion_tokens=35,
        seconds=3.5,
        likes=0,
        dislikes=0,
    )
    assert (bob.answers, bob.seconds, bob.likes, bob.dislikes) == (2, 2.0, 1, 1)
    assert (cy.answers, cy.seconds) == (1, None)


async def test_answers_are_counted_by_how_they_ended_where(
    sql_store: SqlThreadStore, path: Path
) -> None:
    rows = [row("a", 1.0), row("a", 1.0), row("b", 1.0, state=TurnState.FAILED)]
    await sql_store.add_usage([*rows, row("c", 1.0, platform="slack")])
    assert (await summary(path)).turns == (
        TurnCount("slack", TurnState.DONE, 1),
        TurnCount("web", TurnState.DONE, 2),
        TurnCount("web", TurnState.FAILED, 1),
    )


@pytest.mark.parametrize(
    ("first_tokens", "median"),
    [((None,), None), ((0.3,), 0.3), ((9.0, 0.1, None, 0.4), 0.4), ((1.0, 4.0, 2.0, 3.0), 2.5)],
)
async def test_the_first_token_comes_after_the_median_of_those_that_came(
    sql_store: SqlThreadStore, path: Path, first_tokens: tuple[float | None, ...], median: object
) -> None:
    await sql_store.add_usage([row("a", 1.0, first_token_seconds=each) for each in first_tokens])
    assert (await summary(path)).first_token_seconds == median


async def test_what_was_asked_before_does_not_count(sql_store: SqlThreadStore, path: Path) -> None:
    await sql_store.add_usage([row("a", 1.0, asked_at=START - timedelta(seconds=1))])
    assert await summary(path) == UsageSummary()


async def test_a_log_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no history"):
        await summary(tmp_path / "none.db")
