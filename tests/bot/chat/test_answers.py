"""Every answer stays, and the one that counts is what later prompts see."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.errors import RequestError, UnknownChat, UnsupportedOption
from bot.generation import ChatMessage, Finished, FinishReason, Usage
from bot.stored import TurnState
from tests.bot.chat.page import ADA, Page, chosen, soon
from tests.bot.talk import Talk, talking
from tests.fakes.generator import ScriptedGenerator


def said(talk: Talk) -> list[str]:
    return [each.content for each in talk.generator.generations[-1].request.messages[1:]]


async def again(page: Page, turn_id: str, reply: str) -> None:
    num_answers = len(page.turns[turn_id].answers)
    page.talk.generator.replies.append(reply)
    await page.port.retry(ADA, turn_id)
    await page.shows(turn_id, num_answers + 1)


async def test_another_answer_stands_beside_the_one_before(talk: Talk, page: Page) -> None:
    turn = await page.answered("A colour?", "Red.")
    await again(page, turn.id, "Blue.")
    now = page.turns[turn.id]
    assert [(each.number, each.reply) for each in now.answers] == [(1, "Red."), (2, "Blue.")]
    assert now.chosen == 2
    assert said(talk) == ["A colour?"], "the model does not see what it said before"
    await page.answered("Why?", "It is the sky.")
    assert said(talk) == ["A colour?", "Blue.", "Why?"]


async def test_the_answer_that_somebody_leafs_to_counts_from_then_on(
    talk: Talk, page: Page
) -> None:
    turn = await page.answered("A colour?", "Red.")
    await again(page, turn.id, "Blue.")
    await page.port.choose(ADA, turn.id, 1)
    await talk.until(lambda: page.turns[turn.id].chosen == 1)
    await page.answered("Why?", "It is love.")
    assert said(talk) == ["A colour?", "Red.", "Why?"]
    with pytest.raises(UnknownChat):
        await page.port.choose(ADA, turn.id, 3)


async def test_the_answers_survive_a_restart_of_the_page(page: Page) -> None:
    turn = await page.answered("A colour?", "Red.")
    await again(page, turn.id, "Blue.")
    await page.port.rate(ADA, turn.id, -1)
    assert page.chat_id is not None
    chat = await page.port.chat(ADA, page.chat_id)
    assert [(each.reply, each.rating) for each in chat.turns[0].answers] == [
        ("Red.", 0),
        ("Blue.", -1),
    ]


async def test_an_edited_question_is_asked_anew_and_the_old_one_stays(
    talk: Talk, page: Page
) -> None:
    turn = await page.answered("A color?", "Red.")
    talk.generator.replies.append("Blue.")
    assert await page.port.edit(ADA, turn.id, "A colour?") == page.chat_id
    await page.shows(turn.id, 2)
    now = page.turns[turn.id]
    assert now.question == "A colour?"
    assert [each.question for each in now.answers] == ["A color?", "A colour?"]
    await page.port.choose(ADA, turn.id, 1)
    await talk.until(lambda: page.turns[turn.id].question == "A color?")
    await page.answered("Why?", "So.")
    assert said(talk) == ["A color?", "Red.", "Why?"]


async def test_a_question_is_edited_while_it_is_answered(talk: Talk, page: Page) -> None:
    turn = await page.ask("A color?")
    generation = await page.led()
    generation.say("Re")
    await page.sees(turn.id, "Re")
    talk.generator.replies.append("Blue.")
    await soon(talk, page.port.edit(ADA, turn.id, "A colour?"))
    assert generation.is_cancelled
    await page.shows(turn.id, 2)
    first, second = page.turns[turn.id].answers
    assert (first.question, first.reply, first.state) == ("A color?", "Re", TurnState.STOPPED)
    assert (second.question, second.reply) == ("A colour?", "Blue.")


async def test_an_answer_that_was_stopped_before_its_first_word_is_not_kept(
    talk: Talk, page: Page
) -> None:
    turn = await page.ask("A color?")
    await page.led()
    talk.generator.replies.append("Blue.")
    await soon(talk, page.port.edit(ADA, turn.id, "A colour?"))
    await page.shows(turn.id)
    assert [each.reply for each in page.turns[turn.id].answers] == ["Blue."]


async def test_who_stops_another_answer_before_its_first_word_keeps_the_one_before(
    talk: Talk, page: Page
) -> None:
    turn = await page.answered("A colour?", "Red.")
    await page.port.retry(ADA, turn.id)
    await page.led()
    await page.port.stop(ADA, turn.id)
    assert (await page.shows(turn.id)).reply == "Red."
    assert len(page.turns[turn.id].answers) == 1
    await page.answered("Why?", "So.")
    assert said(talk) == ["A colour?", "Red.", "Why?"]


async def test_a_stopped_answer_goes_on_where_it_was(talk: Talk, page: Page) -> None:
    turn = await page.ask("Count.")
    generation = await page.led()
    generation.say("One, two,")
    await page.sees(turn.id, "One, two,")
    await page.port.stop(ADA, turn.id)
    answer = await page.shows(turn.id)
    assert (answer.reply, answer.note, answer.state) == ("One, two,", "Stopped.", "stopped")
    assert answer.can_continue
    await page.port.go_on(ADA, turn.id)
    generation = await page.led()
    assert generation.request.messages[-1] == ChatMessage("assistant", "One, two,", is_open=True)
    growing = await page.stage(turn.id, "reading")
    assert (growing.number, growing.reply) == (1, "One, two,")
    generation.say(" three.")
    await page.sees(turn.id, "One, two, three.")
    assert page.growths[-1].number == 1
    generation.end(Finished(FinishReason.STOP, Usage(9, 8, 5)))
    await talk.until(lambda: chosen(page.turns[turn.id]).reply == "One, two, three.")
    (whole,) = page.turns[turn.id].answers
    assert (whole.state, whole.reason, whole.note) == ("done", "stop", "")
    assert whole.usage.completion_tokens == answer.usage.completion_tokens + 5
    assert not whole.can_continue
    with pytest.raises(RequestError, match="nothing to continue"):
        await page.port.go_on(ADA, turn.id)


async def test_an_answer_that_reached_the_limit_goes_on(talk: Talk, page: Page) -> None:
    turn = await page.ask("Count.")
    generation = await page.led()
    generation.say("One")
    generation.finish(FinishReason.LENGTH)
    answer = await page.shows(turn.id)
    assert answer.can_continue
    assert "length limit" in answer.note
    assert "ask me" not in answer.note, "the page has a button for that"
    await page.port.go_on(ADA, turn.id)
    generation = await page.led()
    generation.say(", two")
    generation.finish()
    await talk.until(lambda: chosen(page.turns[turn.id]).reply == "One, two")
    await page.answered("And?", "Three.")
    assert said(talk) == ["Count.", "One, two", "And?"]


async def test_where_an_answer_cannot_be_continued_it_stays_and_says_why(
    talk: Talk, page: Page
) -> None:
    turn = await page.ask("Count.")
    generation = await page.led()
    generation.say("One")
    generation.finish(FinishReason.LENGTH)
    before = await page.shows(turn.id)
    failure = UnsupportedOption("continue_final_message", "is not supported by this engine.")
    talk.generator.failures.append(failure)
    await page.port.go_on(ADA, turn.id)
    await talk.until(lambda: chosen(page.turns[turn.id]).note != before.note)
    after = chosen(page.turns[turn.id])
    assert "not supported by this engine" in after.note
    assert (after.reply, after.state, after.can_continue) == ("One", "done", True)
    await page.answered("And?", "Two.")
    assert said(talk) == ["Count.", "One", "And?"]


async def test_an_answer_that_fills_the_window_stays_and_says_so(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=150)) as talk:
        page = Page(talk)
        turn = await page.ask("Count.")
        generation = await page.led()
        generation.say("one " * 130)
        generation.finish(FinishReason.LENGTH)
        await page.shows(turn.id)
        await page.port.go_on(ADA, turn.id)
        await talk.until(lambda: "cannot become longer" in chosen(page.turns[turn.id]).note)
        assert chosen(page.turns[turn.id]).reply == "one " * 130
        assert not chosen(page.turns[turn.id]).can_continue
        page.close()


async def test_a_failure_takes_nothing_from_an_answer_that_goes_on(talk: Talk, page: Page) -> None:
    turn = await page.ask("Count.")
    generation = await page.led()
    generation.say("One")
    generation.finish(FinishReason.LENGTH)
    await page.shows(turn.id)
    await page.port.go_on(ADA, turn.id)
    generation = await page.led()
    generation.say(", two")
    generation.finish(FinishReason.ERROR, "The model failed.")
    await talk.until(lambda: chosen(page.turns[turn.id]).reply == "One, two")
    answer = chosen(page.turns[turn.id])
    assert (answer.state, answer.can_continue) == (TurnState.DONE, True)
    assert answer.note == "The model failed. Please try again."
    await page.answered("And?", "Three.")
    assert said(talk) == ["Count.", "One, two", "And?"]


async def test_a_failed_answer_says_why_and_can_be_asked_for_again(talk: Talk, page: Page) -> None:
    turn = await page.ask("A colour?")
    (await page.led()).finish(FinishReason.ERROR, "The model failed.")
    answer = await page.shows(turn.id)
    assert (answer.state, answer.reply) == (TurnState.FAILED, "")
    assert answer.note == "The model failed. Please try again."
    await again(page, turn.id, "Red.")
    assert chosen(page.turns[turn.id]).reply == "Red."


async def test_only_the_newest_question_is_answered_once_more(page: Page) -> None:
    first = await page.answered("A colour?", "Red.")
    newest = await page.ask("Why?")
    for attempt in (page.port.retry(ADA, first.id), page.port.go_on(ADA, first.id)):
        with pytest.raises(RequestError, match="newest"):
            await attempt
    with pytest.raises(RequestError, match="being answered"):
        await page.port.retry(ADA, newest.id)


async def test_nothing_else_is_chosen_while_another_answer_grows(page: Page) -> None:
    turn = await page.answered("A colour?", "Red.")
    await page.port.retry(ADA, turn.id)
    with pytest.raises(RequestError, match="being answered"):
        await page.port.choose(ADA, turn.id, 1)


async def test_two_tabs_that_ask_again_at_once_get_one_more_answer(talk: Talk, page: Page) -> None:
    turn = await page.answered("A colour?", "Red.")
    talk.generator.replies.append("Blue.")
    results = await soon(
        talk,
        asyncio.gather(*(page.port.retry(ADA, turn.id) for _ in range(2)), return_exceptions=True),
    )
    assert [type(each) for each in results if each] == [RequestError]
    await page.shows(turn.id, 2)
    assert len(page.turns[turn.id].answers) == 2


async def test_a_personality_counts_from_the_next_question(talk: Talk, page: Page) -> None:
    await page.answered("Who are you?", "Parley.")
    first = await page.ask("One?")
    generation = await page.led()
    second = await page.ask("Two?")
    await page.port.set_personality(ADA, page.chat_id, "pirate")
    third = await page.ask("Three?")
    for turn, name in ((first, "assistant"), (second, "assistant"), (third, "pirate")):
        generation.say("Aye.")
        generation.finish()
        assert (await page.shows(turn.id)).personality == name
        system = generation.request.messages[0].content
        assert ("pirate" in system) == (name == "pirate")
        if turn is not third:
            generation = await page.led()


async def test_a_chat_begins_with_the_personality_that_was_picked(talk: Talk, page: Page) -> None:
    turn = await page.answered("Who are you?", "Blackbeard.", personality="pirate")
    assert chosen(turn).personality == "pirate"
    await page.answered("And your ship?", "The Revenge.")
    assert talk.generator.generations[-1].request.messages[0].content == "You are a pirate."
    assert page.chats[page.chat_id or ""].personality == "pirate"
