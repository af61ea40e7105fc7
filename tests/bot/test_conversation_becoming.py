"""A message that an edit turns into a question or a command, and changes that come too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.stored import TurnState
from bot.turns.questions import EMPTY
from bot.types import Question
from tests.bot.talk import ADA, BOB, Talk, TalkClock, make, open_test_store, place, talking


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


def unsent(text: str, message_id: str = "q", **flags: bool) -> Question:
    """A message that the platform has not delivered yet."""
    return Question(
        event_id=f"sent {message_id}",
        place=place(),
        person=ADA,
        text=text,
        message_id=message_id,
        sent_at=TalkClock().now(),
        is_mention=flags.get("is_mention", True),
        mentions_others=flags.get("mentions_others", False),
    )


def asked(talk: Talk) -> list[str]:
    """The questions that the model got, in order."""
    return [generation.question for generation in talk.generator.generations]


async def test_a_mention_alone_becomes_a_question_and_is_answered(talk: Talk) -> None:
    question = await talk.ask("")
    await talk.until(lambda: talk.whispers() == [EMPTY])
    talk.generator.replies.append("Fine.")
    await talk.rewrite(question, "How are you?")
    await talk.sees("Fine.")
    assert asked(talk) == ["How are you?"]


async def test_a_mention_that_an_edit_adds_makes_a_question(talk: Talk) -> None:
    question = await talk.ask("How are you?", is_mention=False)
    talk.generator.replies.append("Fine.")
    await talk.rewrite(question, "How are you?", is_mention=True)
    await talk.sees("Fine.")
    assert asked(talk) == ["How are you?"]


async def test_a_remark_to_somebody_else_becomes_a_question(talk: Talk) -> None:
    await talk.answered("Hello", "Hi.")
    remark = await talk.ask("@bob how are you?", mentions_others=True, is_mention=False)
    talk.generator.replies.append("Fine.")
    await talk.rewrite(remark, "@bob and Parley, how are you?", is_mention=True)
    await talk.sees("Hi.", "Fine.")
    await talk.service.handle(remark)
    await talk.answered("And now?", "Still.")
    assert asked(talk)[1:] == ["@bob and Parley, how are you?", "And now?"]


async def test_a_remark_is_read_as_it_was_edited(talk: Talk) -> None:
    await talk.answered("Hello", "Hi.")
    remark = await talk.ask("@bob pears?", mentions_others=True, is_mention=False)
    await talk.rewrite(remark, "@bob apples?")
    await talk.service.handle(remark)
    await talk.answered("What did I ask?", "Apples.")
    assert asked(talk)[-1] == "Ada: @bob apples?\nAda: What did I ask?"


async def test_a_remark_that_was_deleted_is_not_read(talk: Talk) -> None:
    await talk.answered("Hello", "Hi.")
    remark = await talk.ask("@bob my code is 1234", mentions_others=True, is_mention=False)
    await talk.delete(remark)
    await talk.service.handle(remark)
    await talk.answered("What is it?", "I do not know.")
    assert asked(talk)[-1] == "What is it?"


async def test_an_edit_of_what_is_not_for_parley_is_no_question(talk: Talk) -> None:
    question = await talk.ask("How are you?", is_mention=False)
    await talk.rewrite(question, "How old are you?")
    await talk.rewrite(replace(question, person=BOB, message_id="q2"), "Who?", is_mention=False)
    await talk.quiet()
    assert (talk.visible(), asked(talk)) == ([], [])


async def test_what_was_said_before_parley_took_part_is_no_question_by_an_edit(
    talk: Talk,
) -> None:
    before = unsent("Lunch at twelve?", "before", is_mention=False)
    await talk.clock.advance(60)
    await talk.answered("Hello", "Hi.")
    await talk.rewrite(before, "Lunch at one?")
    await talk.quiet()
    assert asked(talk) == ["Hello"]
    talk.generator.replies.append("At one.")
    await talk.rewrite(before, "Lunch at one?", is_mention=True)
    await talk.sees("Hi.", "At one.")


async def test_a_message_of_a_thread_that_was_a_command_is_a_question_once_it_is_edited(
    talk: Talk,
) -> None:
    await talk.answered("Hello", "Hi.")
    command = await talk.ask("help", is_mention=False)
    talk.generator.replies.append("With pleasure.")
    await talk.rewrite(command, "help me")
    await talk.until(lambda: "With pleasure." in talk.visible())


async def test_an_old_message_that_is_edited_is_not_answered_again(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Fine.")
    await talk.ask("forget")
    await talk.rewrite(question, "How are you?!")
    await talk.clock.advance(2 * 86_400)
    await talk.store.prune(None)
    await talk.rewrite(question, "How are you??")
    await talk.quiet()
    assert asked(talk) == ["How are you?"]


async def test_a_refused_question_is_answered_once_it_is_edited_in_time(tmp_path: Path) -> None:
    async with talking(tmp_path, per_minute=1) as talk:
        await talk.answered("One?", "First.")
        question = await talk.ask("Two?")
        await talk.rewrite(question, "Two??")
        await talk.until(lambda: len(talk.whispers()) == 2)
        await talk.clock.advance(61)
        talk.generator.replies.append("Second.")
        edited = await talk.rewrite(question, "Two, please?")
        await talk.sees("First.", "Second.")
        await talk.service.handle(edited)
        await talk.quiet()
        assert asked(talk) == ["One?", "Two, please?"]


async def test_nobody_who_may_not_ask_does_so_by_an_edit(tmp_path: Path) -> None:
    async with talking(tmp_path, deny=[ADA.id]) as talk:
        question = await talk.ask("", is_mention=False)
        await talk.rewrite(question, "How are you?", is_mention=True)
        await talk.quiet()
        assert asked(talk) == []
        assert len(talk.whispers()) == 1


@pytest.mark.parametrize(
    "text",
    ["How are you?", "help", ""],
    ids=["a question", "a command", "nothing"],
)
async def test_the_same_edit_counts_once_however_often_it_comes(talk: Talk, text: str) -> None:
    question = await talk.ask("hm", is_mention=False)
    talk.generator.replies += ["Fine.", "Fine again."]
    edited = await talk.rewrite(question, text, is_mention=True)
    await talk.service.handle(edited)
    await talk.rewrite(question, text, is_mention=True)  # another event, without a change of text
    await talk.service.handle(replace(question, event_id="mention", text=text, is_mention=True))
    await talk.quiet()
    assert len(talk.visible()) + len(talk.whispers()) == 1


async def test_an_older_edit_that_is_repeated_does_not_undo_a_newer_one(talk: Talk) -> None:
    question = await talk.ask("", is_mention=False)
    talk.generator.replies += ["First.", "Second."]
    older = await talk.rewrite(question, "One?", is_mention=True)
    await talk.sees("First.")
    await talk.ended(question)
    await talk.rewrite(question, "Two?", is_mention=True)
    await talk.sees("Second.")
    await talk.service.handle(older)
    await talk.quiet()
    assert (await talk.turn(question)).text == "Two?"
    assert asked(talk) == ["One?", "Two?"]


async def test_a_question_and_its_edit_at_once_are_answered_once(talk: Talk) -> None:
    question = unsent("One?")
    talk.generator.replies += ["First.", "Second."]
    await asyncio.gather(
        talk.service.handle(talk.edited(question, "Two?")), talk.service.handle(question)
    )
    await talk.ended(question)
    await talk.quiet()
    assert len(talk.visible()) == 1
    assert asked(talk)[-1] == "Two?"


async def test_an_edit_before_and_after_a_restart_is_answered_once(tmp_path: Path) -> None:
    clock = TalkClock()
    store = await open_test_store(tmp_path, clock)
    first = await make(tmp_path, store, clock=clock)
    await first.service.start()
    question = await first.ask("", is_mention=False)
    first.generator.replies.append("Fine.")
    edited = await first.rewrite(question, "How are you?", is_mention=True)
    await first.ended(question)
    await first.close()
    second = await make(tmp_path, store, clock=clock, platform=first.platform)
    await second.service.start()
    await second.service.handle(edited)
    await second.service.handle(replace(question, text="How are you?", is_mention=True))
    await second.quiet()
    assert second.visible() == ["Fine."]
    assert asked(second) == []
    await second.close()
    await store.close()


async def test_what_becomes_stop_stops_what_runs_and_is_not_asked(talk: Talk) -> None:
    long = await talk.ask("Count to a million.")
    first = await talk.generation()
    first.say("One, two")
    await talk.sees("One, two")
    typo = await talk.ask("sotp")
    await talk.rewrite(typo, "stop")
    assert first.is_cancelled
    assert (await talk.ended(long)).state is TurnState.STOPPED
    assert (await talk.ended(typo)).state is TurnState.STOPPED
    await talk.quiet()
    assert asked(talk) == ["Count to a million."]
    assert talk.whispers() == []


async def test_what_becomes_stop_while_it_is_answered_itself_is_stopped(talk: Talk) -> None:
    typo = await talk.ask("sotp")
    generation = await talk.generation()
    generation.say("What is")
    await talk.sees("What is")
    await talk.rewrite(typo, "Stop!")
    assert generation.is_cancelled
    assert (await talk.ended(typo)).state is TurnState.STOPPED
    assert talk.visible() == ["What is\n\n_(stopped)_"]


@pytest.mark.parametrize("is_told", [True, False], ids=["addressed", "addressed no more"])
async def test_an_answered_question_that_becomes_a_command_is_the_command(
    talk: Talk, is_told: bool
) -> None:
    typo = await talk.answered("hlep", "What is that?")
    await (talk.rewrite if is_told else talk.edit)(typo, "help")
    await talk.until(lambda: len(talk.visible()) == 2)
    assert talk.visible()[1].startswith("Ask me anything")
    assert asked(talk) == ["hlep"]


async def test_retry_answers_the_question_and_not_what_became_the_command(talk: Talk) -> None:
    await talk.answered("How are you?", "Fine.")
    typo = await talk.answered("rtry", "What is that?")
    talk.generator.replies.append("Very well.")
    await talk.rewrite(typo, "retry")
    await talk.sees("Very well.", "What is that?")
    assert asked(talk) == ["How are you?", "rtry", "How are you?"]


async def test_the_newest_question_is_one_though_a_command_stands_below_it(talk: Talk) -> None:
    question = await talk.answered("How are you?", "Fine.")
    typo = await talk.answered("hlep", "What is that?")
    await talk.rewrite(typo, "help")
    talk.generator.replies.append("Old.")
    await talk.rewrite(question, "How old are you?")
    await talk.until(lambda: "Old." in talk.visible())


async def test_a_command_that_becomes_a_question_again_is_answered(talk: Talk) -> None:
    typo = await talk.answered("hlep", "What is that?")
    await talk.rewrite(typo, "help")
    talk.generator.replies.append("Gladly.")
    await talk.rewrite(typo, "Help me.")
    await talk.until(lambda: talk.visible()[0] == "Gladly.")


async def test_a_command_that_becomes_another_one_is_that_one_too(talk: Talk) -> None:
    command = await talk.ask("help")
    await talk.rewrite(command, "status")
    await talk.until(lambda: len(talk.visible()) == 2)
    assert talk.visible()[1].startswith("- Model:")


async def test_what_became_a_command_is_not_taken_up_after_a_crash(tmp_path: Path) -> None:
    clock = TalkClock()
    store = await open_test_store(tmp_path, clock)
    turn = await store.accept(unsent("sotp"))
    assert turn is not None
    await store.begin(turn.id)
    await store.edit_question(turn.id, "stop")
    talk = await make(tmp_path, store, clock=clock)
    await talk.service.start()
    await talk.sees("Stopped.")
    assert asked(talk) == []
    await talk.close()
    await store.close()


@pytest.mark.parametrize("text", ["How are you?", "help", ""])
async def test_a_question_whose_deletion_came_first_is_never_answered(
    talk: Talk, text: str
) -> None:
    question = unsent(text)
    await talk.delete(question)
    await talk.service.handle(question)
    await talk.service.handle(replace(question, event_id="again"))
    await talk.service.handle(talk.edited(question, "Who are you?"))
    await talk.quiet()
    assert (talk.visible(), talk.whispers(), asked(talk)) == ([], [], [])


@pytest.mark.parametrize("says_what", [True, False], ids=["as a question", "as text"])
async def test_a_question_whose_edit_came_first_is_asked_as_edited(
    talk: Talk, says_what: bool
) -> None:
    """The edit also takes the mention away: that of the question counts, as in their order."""
    question = unsent("How are you?")
    edited = talk.edited(question, "Who are you?", is_mention=False)
    talk.generator.replies += ["Parley.", "Parley again."]
    await talk.service.handle(edited if says_what else replace(edited, becomes=None))
    await talk.service.handle(question)
    await talk.service.handle(replace(question, event_id="again"))
    await talk.sees("Parley.")
    await talk.quiet()
    assert asked(talk) == ["Who are you?"]


async def test_a_question_whose_edit_to_a_command_came_first_is_the_command(talk: Talk) -> None:
    question = unsent("hlep")
    await talk.rewrite(question, "help")
    await talk.service.handle(question)
    await talk.quiet()
    assert len(talk.visible()) == 1
    assert asked(talk) == []


async def test_a_change_is_remembered_for_minutes_and_not_for_ever(talk: Talk) -> None:
    question = unsent("How are you?")
    await talk.delete(question)
    await talk.clock.advance(420)
    await talk.service.handle(question)
    await talk.quiet()
    assert talk.visible() == []
    await talk.clock.advance(200)
    await talk.store.prune(None)
    talk.generator.replies.append("Fine.")
    await talk.service.handle(question)
    await talk.sees("Fine.")


async def test_changes_are_remembered_up_to_a_number(talk: Talk) -> None:
    question = unsent("How are you?")
    await talk.rewrite(question, "Who are you?", is_mention=False)
    for number in range(2_000):
        await talk.rewrite(unsent("", f"other {number}"), "hm", is_mention=False)
    talk.generator.replies.append("Fine.")
    await talk.service.handle(question)
    await talk.sees("Fine.")
    assert asked(talk) == ["How are you?"]


async def test_a_question_that_was_deleted_before_a_restart_is_never_answered(
    tmp_path: Path,
) -> None:
    clock = TalkClock()
    store = await open_test_store(tmp_path, clock)
    first = await make(tmp_path, store, clock=clock)
    await first.service.start()
    question = unsent("How are you?")
    await first.delete(question)
    await first.close()
    second = await make(tmp_path, store, clock=clock)
    await second.service.start()
    await second.service.handle(question)
    await second.quiet()
    assert (second.visible(), asked(second)) == ([], [])
    await second.close()
    await store.close()
