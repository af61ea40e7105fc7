"""Asking in a chat, and watching the answer grow."""

from __future__ import annotations

import pytest

from bot.errors import EmptyQuestion, UnknownChat, UnknownPersonality
from bot.generation import FinishReason
from bot.stored import TurnState
from tests.bot.chat.page import ADA, BOB, Page
from tests.bot.talk import Talk


def prompt(talk: Talk) -> list[tuple[str, str]]:
    messages = talk.generator.generations[-1].request.messages
    return [(each.role, each.content) for each in messages[1:]]


async def test_a_question_is_answered_while_the_page_looks(page: Page) -> None:
    turn = await page.ask("  Who are you?\r\n")
    assert (turn.question, turn.number, turn.answers) == ("Who are you?", 1, ())
    assert turn.growing is not None
    generation = await page.led()
    generation.queue(2, wait=3.0)
    waiting = await page.stage(turn.id, "queued")
    assert (waiting.place, waiting.wait) == (2, 3.0)
    generation.queue(1, loading="big")
    await page.stage(turn.id, "loading")
    generation.queue(0)
    await page.stage(turn.id, "reading")
    generation.say("I am ")
    assert (await page.sees(turn.id, "I am ")).stage == "writing"
    generation.say("Parley.")
    growing = await page.sees(turn.id, "I am Parley.")
    assert (growing.model, growing.personality) == ("scripted", "assistant")
    generation.finish()
    answer = await page.shows(turn.id)
    assert (answer.number, answer.question, answer.reply) == (1, "Who are you?", "I am Parley.")
    assert (answer.state, answer.reason) == (TurnState.DONE, FinishReason.STOP)
    assert (answer.model, answer.personality, answer.note) == ("scripted", "assistant", "")
    assert answer.usage.completion_tokens == 3
    assert answer.total_seconds is not None
    assert answer.finished_at is not None
    assert not answer.can_continue


async def test_before_anything_is_heard_of_the_engine_the_prompt_is_read(page: Page) -> None:
    turn = await page.ask("Hello?")
    await page.led()
    await page.stage(turn.id, "reading")


async def test_the_next_question_sees_what_was_said(talk: Talk, page: Page) -> None:
    await page.answered("Who are you?", "Parley.")
    await page.answered("Again?", "Parley!")
    assert prompt(talk) == [
        ("user", "Who are you?"),
        ("assistant", "Parley."),
        ("user", "Again?"),
    ]


async def test_questions_of_a_chat_are_answered_in_order(page: Page) -> None:
    first, second = await page.ask("One?"), await page.ask("Two?")
    generation = await page.led()
    assert (await page.stage(second.id, "queued")).place == 1
    generation.say("1")
    generation.finish()
    await page.shows(first.id)
    generation = await page.led()
    generation.say("2")
    generation.finish()
    assert (await page.shows(second.id)).reply == "2"


async def test_an_answer_is_finished_though_nobody_looks(talk: Talk, page: Page) -> None:
    turn = await page.ask("Who are you?")
    generation = await page.led()
    generation.say("I am ")
    await page.sees(turn.id, "I am ")
    page.close()
    await talk.quiet()
    generation.say("Parley.")
    generation.finish()
    await talk.quiet()
    assert page.chat_id is not None
    await page.open(page.chat_id)
    assert (await page.shows(turn.id)).reply == "I am Parley."


async def test_two_pages_see_the_same_answer_grow(talk: Talk, page: Page) -> None:
    turn = await page.ask("Who are you?")
    generation = await page.led()
    generation.say("I am ")
    await page.sees(turn.id, "I am ")
    other = Page(talk)
    await other.open(page.chat_id)
    await other.sees(turn.id, "I am ")
    generation.say("Parley.")
    for each in (page, other):
        await each.sees(turn.id, "I am Parley.")
    generation.finish()
    for each in (page, other):
        assert (await each.shows(turn.id)).reply == "I am Parley."
    other.close()


async def test_a_new_chat_comes_into_the_list_of_every_page(talk: Talk, page: Page) -> None:
    other, stranger = Page(talk), Page(talk, BOB)
    for each in (other, stranger):
        await each.open(None)
    turn = await page.answered("Who are you?", "Parley.")
    assert page.chat_id is not None
    await talk.until(lambda: bool(other.chats) and not other.chats[page.chat_id or ""].is_busy)
    summary = other.chats[page.chat_id]
    assert (summary.title, summary.num_turns) == ("Who are you?", 1)
    assert summary.personality == "assistant"
    assert list(await page.port.chats(ADA)) == [summary]
    assert not stranger.chats
    assert not await page.port.chats(BOB)
    assert turn.id not in other.turns, "a page that watches the list alone gets no texts"
    for each in (other, stranger):
        each.close()


async def test_a_chat_says_which_model_answers_and_how_much_fits(page: Page) -> None:
    await page.answered("Who are you?", "Parley.")
    chat = await page.port.chat(ADA, page.chat_id)
    assert (chat.model, chat.window) == ("scripted", 4096)
    assert [turn.question for turn in chat.turns] == ["Who are you?"]
    assert chat.summary.id == page.chat_id
    assert await page.port.turn(ADA, chat.turns[0].id) == chat.turns[0]


async def test_a_chat_is_nobody_elses(page: Page) -> None:
    turn = await page.answered("My secret is 42.", "Aye.")
    port, chat_id = page.port, page.chat_id
    for attempt in (
        port.chat(BOB, chat_id),
        port.turn(BOB, turn.id),
        port.ask(BOB, chat_id, "What is the secret?"),
        port.stop(BOB, turn.id),
        port.retry(BOB, turn.id),
        port.go_on(BOB, turn.id),
        port.edit(BOB, turn.id, "What?"),
        port.choose(BOB, turn.id, 1),
        port.rate(BOB, turn.id, 1),
        port.forget_chat(BOB, chat_id),
        port.set_personality(BOB, chat_id, "pirate"),
        port.ask(ADA, "nowhere", "Hello?"),
        port.chat(ADA, "nowhere"),
    ):
        with pytest.raises(UnknownChat):
            await attempt


async def test_what_asks_nothing_is_refused(page: Page) -> None:
    with pytest.raises(EmptyQuestion):
        await page.ask(" \n\0 ")
    with pytest.raises(UnknownPersonality):
        await page.ask("Hello?", personality="nobody")
    assert not await page.port.chats(ADA)


async def test_a_command_of_platforms_is_a_question_like_any_other(talk: Talk, page: Page) -> None:
    await page.answered("stop", "Full stop.")
    assert prompt(talk) == [("user", "stop")]
