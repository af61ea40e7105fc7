"""Teams waits fifteen seconds, hangs up, and delivers again: nobody gets two answers of that.

Here it hangs up as soon as Parley has begun to deal with what was delivered.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.stored import TurnState
from tests.adapters.teams.talk import Talk, talking, until
from tests.fakes.clock import settle
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import (
    BOB,
    CHANNEL,
    PERSONAL,
    Json,
    attached,
    feedback,
    installation,
    message,
    sender,
)

Delivery = asyncio.Task[int]


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


async def delivered(talk: Talk, *activities: Json) -> list[Delivery]:
    """On their way at once, and Parley has begun to store what each of them says."""
    num_taken = talk.num_taken + len(activities)
    deliveries = [asyncio.create_task(talk.teams.deliver(each)) for each in activities]
    await until(lambda: talk.num_taken == num_taken)
    await settle()
    return deliveries


async def hung_up(deliveries: list[Delivery]) -> None:
    """Nobody waits for their answers any more, which have not come."""
    for delivery in deliveries:
        assert delivery.cancel(), "it was answered"
    await asyncio.wait(deliveries)


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
    at_once = [asked] * num_at_once
    with busy_database(tmp_path) as release:
        for _ in range(2):
            await hung_up(await delivered(talk, *at_once))
        deliveries = await delivered(talk, *at_once)
        release()
        statuses = await asyncio.gather(*deliveries)
    assert statuses == [202] * num_at_once
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
    assert await teams.deliver(asked) == 202
    await until(lambda: teams.num_fetched == 1)
    assert await teams.deliver(asked) == 202
    teams.may_serve.set()
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
    at_once = (added, judged, added, judged)
    with busy_database(tmp_path) as release:
        await hung_up(await delivered(talk, *at_once))
        deliveries = await delivered(talk, *at_once)
        release()
        statuses = await asyncio.gather(*deliveries)
    assert statuses == [202, 200, 202, 200]
    await until(lambda: bool(teams.texts("19:group@")))
    assert len(teams.texts("19:group@")) == 1
    await until(lambda: _ratings(tmp_path) == [-1])


async def test_each_person_has_one_judgement_also_after_a_restart(
    teams: FakeTeams, tmp_path: Path
) -> None:
    async with talking(teams, tmp_path) as talk:
        talk.generator.replies.append("Yes.")
        asked = message("Is it?", "channel")
        await talk.say(asked)
        await talk.sees(CHANNEL, "Yes.")
        assert await talk.state(asked) is TurnState.DONE
        reply = talk.reply_to(CHANNEL)
        await teams.deliver(here(teams, feedback(reply, "like", "channel")))
        by_bob = {**feedback(reply, "dislike", "channel"), "from": sender(BOB)}
        await teams.deliver(here(teams, by_bob))
    async with talking(teams, tmp_path):
        await teams.deliver(here(teams, feedback(reply, "dislike", "channel")))
    assert _votes(tmp_path) == [-1, -1]
    assert _ratings(tmp_path) == [-1]


def _votes(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "parley.db")) as database:
        return [row[0] for row in database.execute("select rating from votes")]


def _ratings(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "parley.db")) as database:
        return [row[0] for row in database.execute("select rating from turns")]
