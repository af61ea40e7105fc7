"""Pulling the plug in the middle of an answer ends in the finished answer, without a reload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.generation import ChatMessage
from bot.stored import TurnState
from tests.bot.chat.page import ADA, Page, soon
from tests.bot.machine import Machine, answering, running_machine
from tests.fakes.generator import ScriptedGenerator


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with running_machine(tmp_path) as machine:
        yield machine


async def boot(machine: Machine, generator: ScriptedGenerator | None = None) -> Page:
    return Page(await machine.boot(generator))


async def back(machine: Machine, page: Page, generator: ScriptedGenerator | None = None) -> Page:
    """The page in its next life: it has found Parley again, and watches the same chat."""
    page.close()
    again = await boot(machine, generator)
    await again.open(page.chat_id)
    return again


async def test_a_question_killed_right_after_it_was_taken_is_answered(machine: Machine) -> None:
    page = await boot(machine)
    machine.dies_before("begin")
    asking = asyncio.ensure_future(page.port.ask(ADA, None, "How are you?"))
    await machine.dies()
    asking.cancel()
    (left,) = await machine.store.unfinished()
    page.chat_id = left.place.thread
    page = await back(machine, page, answering("Fine."))
    assert (await page.shows(left.id)).reply == "Fine."


async def test_an_answer_killed_while_it_grows_is_given_again(machine: Machine) -> None:
    page = await boot(machine)
    turn = await page.ask("How are you?", personality="pirate")
    (await page.led()).say("I am fi")
    await page.sees(turn.id, "I am fi")
    await machine.pull_the_plug()
    page = await back(machine, page)
    generation = await page.led()
    generation.say("Fine.")
    growing = await page.sees(turn.id, "Fine.")
    assert (growing.stage, growing.personality) == ("writing", "pirate")
    generation.finish()
    answer = await page.shows(turn.id)
    assert (answer.number, answer.reply, answer.state) == (1, "Fine.", TurnState.DONE)


async def test_an_answer_asked_for_again_and_killed_takes_nothing_from_the_one_before(
    machine: Machine,
) -> None:
    page = await boot(machine, answering("Red."))
    turn = await page.ask("A colour?")
    await page.shows(turn.id)
    await page.port.retry(ADA, turn.id)
    generation = await page.led()
    generation.say("B")
    await page.sees(turn.id, "B")
    generation.say("l")
    await page.sees(turn.id, "Bl")
    assert page.growths[-1].number == 2
    await machine.pull_the_plug()
    page = await back(machine, page, answering("Blue."))
    await page.shows(turn.id, 2)
    assert [each.reply for each in page.turns[turn.id].answers] == ["Red.", "Blue."]


async def test_an_answer_killed_while_it_is_continued_is_continued(machine: Machine) -> None:
    page = await boot(machine)
    turn = await page.ask("Count.")
    (await page.led()).say("One,")
    await page.sees(turn.id, "One,")
    await page.port.stop(ADA, turn.id)
    await page.shows(turn.id)
    await page.port.go_on(ADA, turn.id)
    (await page.led()).say(" tw")
    await page.sees(turn.id, "One, tw")
    await machine.pull_the_plug()
    page = await back(machine, page)
    generation = await page.led()
    assert generation.request.messages[-1] == ChatMessage("assistant", "One,", is_open=True)
    generation.say(" two.")
    generation.finish()
    await page.talk.until(lambda: page.turns[turn.id].growing is None)
    assert [each.reply for each in page.turns[turn.id].answers] == ["One, two."]


async def test_a_question_that_killed_two_processes_is_not_tried_a_third_time(
    machine: Machine,
) -> None:
    page = await boot(machine)
    turn = await page.ask("How are you?")
    for _ in range(2):
        await page.led()
        await machine.pull_the_plug()
        page = await back(machine, page)
    answer = await page.shows(turn.id)
    assert answer.state is TurnState.FAILED
    assert "interrupted twice" in answer.note
    assert answer.note.endswith("Please try again.")
    page.talk.generator.replies.append("Fine.")
    await page.port.retry(ADA, turn.id)
    assert (await page.shows(turn.id, 2)).reply == "Fine."


async def test_what_is_too_old_says_so_and_keeps_what_was_there(machine: Machine) -> None:
    page = await boot(machine, answering("Red."))
    turn = await page.ask("A colour?")
    await page.shows(turn.id)
    await page.port.retry(ADA, turn.id)
    newest = await page.ask("Why?")
    await page.led()
    await machine.pull_the_plug()
    await machine.clock.advance(1000)
    page = await back(machine, page)
    for each in (turn, newest):
        answer = await page.shows(each.id)
        assert (answer.state, answer.personality) == (TurnState.INTERRUPTED, "assistant")
        assert answer.note == "I was interrupted before I could answer this. Please try again."
    assert [each.reply for each in page.turns[turn.id].answers] == ["Red.", ""]


async def test_a_question_that_reads_like_a_command_is_answered_all_the_same(
    machine: Machine,
) -> None:
    page = await boot(machine)
    turn = await page.ask("stop")
    await page.led()
    await machine.pull_the_plug()
    page = await back(machine, page, answering("Full stop."))
    assert (await page.shows(turn.id)).reply == "Full stop."


async def test_what_was_left_can_be_stopped_before_it_begins_again(machine: Machine) -> None:
    page = await boot(machine)
    first, second = await page.ask("One?"), await page.ask("Two?")
    await page.led()
    await machine.pull_the_plug()
    page = await back(machine, page)
    await page.led()
    await page.port.stop(ADA, second.id)
    assert (await page.shows(second.id)).state is TurnState.STOPPED
    assert page.turns[first.id].growing is not None


async def test_a_drain_lets_an_answer_end_and_loses_none_that_waits(machine: Machine) -> None:
    page = await boot(machine)
    first, second = await page.ask("One?"), await page.ask("Two?")
    generation = await page.led()
    drain = asyncio.ensure_future(page.talk.service.drain(15, asyncio.Event()))
    await page.talk.quiet()
    late = await page.ask("Three?")
    generation.say("First.")
    generation.finish()
    await page.talk.until(drain.done)
    assert (await page.shows(first.id)).reply == "First."
    await page.talk.close()
    page = await back(machine, page, answering("Second.", "Third."))
    assert (await page.shows(second.id)).reply == "Second."
    assert (await page.shows(late.id)).reply == "Third."


async def test_what_a_drain_cuts_off_is_asked_as_if_never_tried(machine: Machine) -> None:
    page = await boot(machine)
    turn = await page.ask("One?")
    generation = await page.led()
    generation.say("Fir")
    await page.sees(turn.id, "Fir")
    await soon(page.talk, page.talk.service.drain(2, asyncio.Event()))
    await page.talk.close()
    assert generation.is_cancelled
    (left,) = await machine.store.unfinished()
    assert (left.state, left.attempts) == (TurnState.QUEUED, 0)
    page = await back(machine, page, answering("First."))
    assert (await page.shows(turn.id)).reply == "First."


async def test_watches_end_when_parley_does(machine: Machine) -> None:
    page = await boot(machine, answering("Fine."))
    await page.answered("How are you?", "Fine.")
    watch = page.port.watch(ADA, page.chat_id)
    await page.talk.close()
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(watch))
