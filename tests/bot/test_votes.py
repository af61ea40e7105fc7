"""What people think of an answer: as reactions and as buttons, taken back, and seen in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from bot.history import usage as stored
from bot.turns.reactions import RATINGS, rating_of
from bot.types import Feedback, Person
from tests.bot.talk import ADA, BOB, Talk, place, talking

_numbers = count(1)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def votes(talk: Talk, folder: Path) -> list[int]:
    """Of each answer in the usage log."""
    await talk.clock.advance(1)
    rows = await asyncio.to_thread(lambda: list(stored.read(folder / "parley.db", None)))
    return [row.rating for row in rows]


async def answer(talk: Talk) -> str:
    """The message of an answered question's reply."""
    await talk.answered("What is a turn?", "One exchange.")
    await talk.clock.advance(1)
    return next(iter(talk.platform.messages))


async def press(talk: Talk, message_id: str, rating: int, person: Person = ADA) -> Feedback:
    feedback = Feedback(
        event_id=f"v{next(_numbers)}",
        place=place(""),
        person=person,
        message_id=message_id,
        rating=rating,
        is_pressed=True,
    )
    await talk.service.handle(feedback)
    return feedback


async def unreact(talk: Talk, message_id: str, name: str, person: Person = ADA) -> None:
    await talk.service.handle(
        Feedback(
            event_id=f"v{next(_numbers)}",
            place=place(""),
            person=person,
            message_id=message_id,
            rating=0,
            reaction=name,
        )
    )


@pytest.mark.parametrize(
    ("name", "rating"),
    [
        *RATINGS.items(),
        ("+1::skin-tone-4", 1),
        ("-1::skin-tone-2", -1),
        ("👍🏽", 1),
        ("👎🏿", -1),
        (":thumbsup:", 1),
        ("eyes", 0),
        ("heart", 0),
        ("1", 0),
        ("", 0),
    ],
)
def test_thumbs_in_every_skin_tone_are_votes_and_nothing_else_is(name: str, rating: int) -> None:
    assert rating_of(name) == rating


@pytest.mark.parametrize(("name", "rating"), [("+1", 1), ("-1::skin-tone-3", -1), ("👎🏿", -1)])
async def test_a_thumb_under_the_reply_is_a_vote_and_taking_it_away_takes_it_back(
    talk: Talk, tmp_path: Path, name: str, rating: int
) -> None:
    reply = await answer(talk)
    await talk.react(reply, name)
    assert await votes(talk, tmp_path) == [rating]
    await unreact(talk, reply, name)
    assert await votes(talk, tmp_path) == [0]
    assert talk.whispers() == []


async def test_a_thumb_under_the_question_is_no_vote(talk: Talk, tmp_path: Path) -> None:
    question = await talk.answered("What is a turn?", "One exchange.")
    await talk.react(question.message_id, "+1")
    assert await votes(talk, tmp_path) == [0]


async def test_another_reaction_that_goes_leaves_the_vote(talk: Talk, tmp_path: Path) -> None:
    reply = await answer(talk)
    await talk.react(reply, "+1")
    await unreact(talk, reply, "tada")
    await unreact(talk, reply, "-1")
    assert await votes(talk, tmp_path) == [1]


async def test_a_pressed_thumb_is_acknowledged_alone_and_pressed_again_taken_back(
    talk: Talk, tmp_path: Path
) -> None:
    reply = await answer(talk)
    seen = talk.visible()
    await press(talk, reply, -1)
    assert await votes(talk, tmp_path) == [-1]
    await press(talk, reply, -1)
    assert await votes(talk, tmp_path) == [0]
    assert talk.whispers() == ["Noted: 👎", "Your vote is taken back."]
    assert talk.visible() == seen


async def test_only_the_first_vote_of_a_person_is_acknowledged(talk: Talk, tmp_path: Path) -> None:
    reply = await answer(talk)
    await press(talk, reply, 1)
    await press(talk, reply, -1)
    await press(talk, reply, 1)
    await press(talk, reply, -1, BOB)
    assert await votes(talk, tmp_path) == [-1]
    assert talk.whispers() == ["Noted: 👍"]
    assert talk.whispers(BOB) == ["Noted: 👎"]


async def test_a_reaction_and_a_pressed_thumb_of_one_person_are_one_vote(
    talk: Talk, tmp_path: Path
) -> None:
    reply = await answer(talk)
    await talk.react(reply, "-1", BOB)
    await talk.react(reply, "+1")
    await press(talk, reply, 1)
    assert await votes(talk, tmp_path) == [1]
    assert talk.whispers() == []
    await unreact(talk, reply, "+1")
    assert await votes(talk, tmp_path) == [-1]


async def test_a_thumb_pressed_after_another_reaction_replaces_it(
    talk: Talk, tmp_path: Path
) -> None:
    reply = await answer(talk)
    await talk.react(reply, "+1")
    await press(talk, reply, -1)
    await unreact(talk, reply, "+1")
    assert await votes(talk, tmp_path) == [-1]


async def test_votes_outlive_a_restart(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        reply = await answer(talk)
        await press(talk, reply, 1)
        await talk.react(reply, "-1", BOB)
        await talk.clock.advance(1)
    async with talking(tmp_path) as talk:
        assert await votes(talk, tmp_path) == [-1]
        await unreact(talk, reply, "-1", BOB)
        assert await votes(talk, tmp_path) == [1]
        await press(talk, reply, 1)
        assert await votes(talk, tmp_path) == [0]
        assert talk.whispers() == ["Your vote is taken back."]


async def test_a_vote_that_is_delivered_again_after_a_restart_counts_once(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        reply = await answer(talk)
        pressed = await press(talk, reply, 1)
        await talk.clock.advance(1)
    async with talking(tmp_path) as talk:
        await talk.service.handle(replace(pressed))
        assert await votes(talk, tmp_path) == [1]
        assert talk.whispers() == []


async def test_the_newest_vote_that_is_left_counts(talk: Talk, tmp_path: Path) -> None:
    reply = await answer(talk)
    await press(talk, reply, 1)
    await press(talk, reply, -1, BOB)
    assert await votes(talk, tmp_path) == [-1]
    await press(talk, reply, -1, BOB)
    assert await votes(talk, tmp_path) == [1]


async def test_a_press_that_is_delivered_twice_counts_once(talk: Talk, tmp_path: Path) -> None:
    reply = await answer(talk)
    pressed = await press(talk, reply, 1)
    await talk.service.handle(replace(pressed))
    assert await votes(talk, tmp_path) == [1]
    assert talk.whispers() == ["Noted: 👍"]


async def test_an_answer_given_again_is_judged_anew(talk: Talk, tmp_path: Path) -> None:
    reply = await answer(talk)
    await press(talk, reply, 1)
    await votes(talk, tmp_path)
    talk.generator.replies.append("Another exchange.")
    await talk.command("retry")
    await talk.sees("Another exchange.")
    await press(talk, reply, 1)
    assert await votes(talk, tmp_path) == [1, 1]
    assert talk.whispers() == ["Noted: 👍", "Noted: 👍"]


async def test_a_thumb_under_an_answer_that_grows_anew_leaves_the_old_ones_vote(
    talk: Talk, tmp_path: Path
) -> None:
    reply = await answer(talk)
    await press(talk, reply, 1)
    await talk.clock.advance(1)
    await talk.command("retry")
    generation = await talk.generation()
    await press(talk, reply, -1)
    assert await votes(talk, tmp_path) == [1]
    generation.say("Another exchange.")
    generation.finish()
    await talk.sees("Another exchange.")
    assert await votes(talk, tmp_path) == [1, -1]


async def test_a_thumb_under_an_answer_that_has_just_been_given_anew_is_for_that(
    talk: Talk, tmp_path: Path
) -> None:
    question = await talk.answered("What is a turn?", "One exchange.")
    await talk.clock.advance(1)
    talk.generator.replies.append("Another exchange.")
    await talk.command("retry")
    await talk.ended(question)
    await press(talk, next(iter(talk.platform.messages)), -1)
    assert await votes(talk, tmp_path) == [0, -1]


async def test_an_answer_that_becomes_longer_keeps_its_one_vote(talk: Talk, tmp_path: Path) -> None:
    await talk.ask("Count.")
    generation = await talk.generation()
    generation.say("One, two,")
    await talk.sees("One, two,")
    await talk.command("stop")
    await talk.quiet()
    reply = next(iter(talk.platform.messages))
    await press(talk, reply, 1)
    talk.generator.replies.append(" three.")
    await talk.command("continue")
    await talk.until(lambda: "three" in talk.visible()[0])
    await talk.quiet()
    assert await votes(talk, tmp_path) == [0, 1]
    await press(talk, reply, 1)
    assert await votes(talk, tmp_path) == [0, 0]
    assert talk.whispers() == ["Noted: 👍", "Your vote is taken back."]


async def test_a_thumb_under_what_was_forgotten_says_so(talk: Talk) -> None:
    reply = await answer(talk)
    await talk.command("forget")
    await press(talk, reply, 1)
    await talk.clock.advance(1)
    assert talk.whispers() == ["I do not remember this answer any more."]


async def test_who_may_not_use_parley_cannot_vote_and_is_told_so(tmp_path: Path) -> None:
    async with talking(tmp_path, deny=(BOB.id,)) as talk:
        reply = await answer(talk)
        await press(talk, reply, -1, BOB)
        await talk.react(reply, "-1", BOB)
        assert await votes(talk, tmp_path) == [0]
        (said,) = talk.whispers(BOB)
        assert said
