"""Teams waits fifteen seconds, hangs up, and delivers again: nobody gets two answers of that."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.types import TurnState
from tests.adapters.teams.talk import Talk, talking, until
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import (
    CHANNEL,
    PERSONAL,
    Json,
    attached,
    feedback,
    installation,
    message,
)

DEADLINE = 0.15
"""Teams' fifteen seconds, shortened."""


@pytest.fixture
async def talk(teams: FakeTeams, tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(teams, tmp_path) as talk:
        yield talk


@contextmanager
def busy_database(folder: Path) -> Iterator[Callable[[], None]]:
    """Somebody else writes, and goes on until the yielded function is called."""
    with closing(sqlite3.connect(folder / "parley.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield lambda: other.rollback()
        finally:
            other.rollback()


def here(teams: FakeTeams, activity: Json) -> Json:
    return {**activity, "serviceUrl": teams.url}


async def test_a_question_is_answered_for_in_time_while_the_model_says_nothing(
    talk: Talk, teams: FakeTeams
) -> None:
    first = await talk.asked(message("One?", "channel"))
    asked = here(teams, message("Two?", "channel", root="1700000000002"))
    async with asyncio.timeout(teams_deadline(talk)):
        assert await teams.deliver(asked) == 202
    assert first.text == ""
    turns = await talk.store.unfinished()
    assert [turn.text for turn in turns] == ["One?", "Two?"], "and both are on disk"


def teams_deadline(talk: Talk) -> float:
    return talk.adapter.limits.ack_deadline


@pytest.mark.parametrize("num_at_once", [1, 2])
async def test_what_is_delivered_again_while_the_database_is_busy_is_answered_once(
    talk: Talk, teams: FakeTeams, tmp_path: Path, num_at_once: int
) -> None:
    """Also where two deliveries of it come at once, each of them again and again."""
    talk.generator.replies.append("Once.")
    asked = here(teams, message("Once?", "channel"))
    with busy_database(tmp_path) as release:
        deliveries = [
            asyncio.create_task(teams.deliver_until_answered(asked, DEADLINE))
            for _ in range(num_at_once)
        ]
        await asyncio.sleep(DEADLINE * 2.5)
        release()
        statuses = await asyncio.gather(*deliveries)
    for each in statuses:
        assert each[:2] == [None, None], "Teams has hung up twice"
        assert each[-1] == 202
    await talk.sees(CHANNEL, "Once.")
    assert await talk.state(asked) is TurnState.DONE
    assert len(talk.generator.generations) == 1
    assert teams.texts(CHANNEL) == ["Once."]


async def test_what_is_delivered_again_while_its_file_is_fetched_is_answered_once(
    talk: Talk, teams: FakeTeams
) -> None:
    teams.files["notes.txt"] = b"The answer is 42."
    teams.may_serve.clear()
    talk.generator.replies.append("42.")
    file = attached(f"{teams.url}files/notes.txt", "notes.txt")
    asked = here(teams, message("What?", attachments=[file]))
    delivery = asyncio.create_task(teams.deliver_until_answered(asked, DEADLINE))
    await asyncio.sleep(DEADLINE * 1.5)
    teams.may_serve.set()
    assert (await delivery)[-1] == 202
    await talk.sees(PERSONAL, "42. [1]")
    assert await talk.state(asked) is TurnState.DONE
    assert len(talk.generator.generations) == 1


async def test_an_install_and_a_judgement_that_come_again_count_once(
    talk: Talk, teams: FakeTeams, tmp_path: Path
) -> None:
    talk.generator.replies.append("Yes.")
    asked = message("Is it?", "channel")
    await talk.say(asked)
    await talk.sees(CHANNEL, "Yes.")
    assert await talk.state(asked) is TurnState.DONE
    added = here(teams, installation("groupChat"))
    judged = here(teams, feedback(talk.reply_to(CHANNEL), "dislike", "channel"))
    with busy_database(tmp_path) as release:
        deliveries = [
            asyncio.create_task(teams.deliver_until_answered(each, DEADLINE))
            for each in (added, judged, added, judged)
        ]
        await asyncio.sleep(DEADLINE * 1.5)
        release()
        statuses = [each[-1] for each in await asyncio.gather(*deliveries)]
    assert statuses == [202, 200, 202, 200]
    await until(lambda: bool(teams.texts("19:group@")))
    assert len(teams.texts("19:group@")) == 1
    await until(lambda: _ratings(tmp_path) == [-1])


def _ratings(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "parley.db")) as database:
        return [row[0] for row in database.execute("select rating from turns")]
