"""Editing a question answers it anew, into the same message, if it is the newest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import RateLimited
from bot.stored import TurnState
from bot.types import QuestionEdited
from tests.bot.talk import BOB, Talk, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def test_an_edited_question_is_answered_anew_in_the_same_message(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Fine.")
    talk.generator.replies.append("Parley.")
    await talk.edit(question, "Who are you?")
    await talk.sees("Parley.")
    assert "Who are you?" in talk.generator.generations[-1].question


async def test_an_edit_that_leaves_the_text_as_it_was_changes_nothing(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Fine.")
    await talk.edit(question, "How are you? ")
    await talk.quiet()
    assert len(talk.generator.generations) == 1


async def test_an_edit_while_streaming_begins_again_in_the_same_message(talk: Talk) -> None:
    question = await talk.ask("How are you?")
    first = await talk.generation()
    first.say("I am")
    await talk.sees("I am")
    await talk.edit(question, "Who are you?")
    assert first.is_cancelled
    second = await talk.generation()
    assert "Who are you?" in second.question
    second.say("Parley.")
    second.finish()
    turn = await talk.ended(question)
    assert (turn.state, turn.reply, turn.attempts) == (TurnState.DONE, "Parley.", 1)
    assert talk.visible() == ["Parley."]
    assert not any("stopped" in call.text.lower() for call in talk.platform.calls)


async def test_a_question_edited_while_it_waits_is_asked_as_edited(talk: Talk) -> None:
    await talk.ask("One?", person=BOB)
    first = await talk.generation()
    question = await talk.ask("Two?")
    await talk.edit(question, "Three?")
    talk.generator.replies.append("Third.")
    first.say("First.")
    first.finish()
    await talk.ended(question)
    assert "Three?" in talk.generator.generations[-1].question
    assert talk.visible() == ["First.", "Third."]
    assert len(talk.generator.generations) == 2


async def test_an_older_question_only_changes_what_later_prompts_see(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Fine.")
    await talk.answered("Really?", "Yes.")
    await talk.edit(question, "How old are you?")
    await talk.quiet()
    assert talk.visible() == ["Fine.", "Yes."]
    await talk.answered("And now?", "Still.")
    assert "How old are you?" in talk.generator.generations[-1].request.messages[1].content


async def test_nobody_edits_somebody_elses_question(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Fine.")
    await talk.edit(question, "Who are you?", person=BOB)
    await talk.quiet()
    assert (await talk.turn(question)).text == "How are you?"


async def test_an_edit_delivered_again_after_a_newer_one_changes_nothing(talk: Talk) -> None:
    question = await talk.answered("One?", "First.")
    await talk.answered("Two?", "Second.")
    edited = QuestionEdited(
        event_id="older",
        place=question.place,
        person=question.person,
        message_id=question.message_id,
        text="Older?",
    )
    await talk.service.handle(edited)
    await talk.edit(question, "Newer?")
    await talk.service.handle(edited)
    assert (await talk.turn(question)).text == "Newer?"


async def test_a_question_edited_while_its_stop_is_still_to_be_shown_is_answered(
    talk: Talk,
) -> None:
    await talk.ask("One?")
    first = await talk.generation()
    waiting = await talk.ask("Two?")
    await talk.sees("Thinking…", "Next in this thread…")
    talk.platform.fail("edit", RateLimited("edit", 20.0))
    await talk.press_stop(waiting.message_id)
    await talk.clock.settle()
    await talk.edit(waiting, "Three?")
    talk.generator.replies.append("Third.")
    first.say("First.")
    first.finish()
    await talk.sees("First.", "Third.")
