"""Pulling the plug loses no question and leaves no message that thinks for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import Unavailable
from bot.generation import FinishReason
from bot.stored import TurnState
from bot.types import Place, Question, StopRequest, UnpostedQuestion
from tests.bot.machine import Machine, answering, running_machine
from tests.bot.talk import ADA, BOB, Talk, make, place
from tests.fakes.platform import FakePlatform


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with running_machine(tmp_path) as machine:
        yield machine


async def ended_as(machine: Machine, talk: Talk, question: Question, state: TurnState) -> None:
    turn = await talk.ended(question)
    assert turn.state is state
    assert "Thinking…" not in talk.visible()


async def test_a_question_killed_right_after_it_was_acknowledged_is_answered(
    machine: Machine,
) -> None:
    first = await machine.boot()
    machine.dies_before("begin")
    question = await first.ask("How are you?")
    await machine.dies()
    second = await machine.boot(answering("Fine."))
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible() == ["Fine."]


async def test_a_reply_killed_before_its_first_word_goes_on_in_its_placeholder(
    machine: Machine,
) -> None:
    first = await machine.boot()
    question = await first.ask("How are you?")
    await first.sees("Thinking…")
    await machine.pull_the_plug()
    second = await machine.boot(answering("Fine."))
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible() == ["Fine."]


async def test_a_reply_killed_while_it_grows_is_begun_again_in_the_same_message(
    machine: Machine,
) -> None:
    first = await machine.boot()
    question = await first.ask("How are you?")
    (await first.generation()).say("I am fi")
    await first.sees("I am fi")
    await machine.pull_the_plug()
    second = await machine.boot(answering("Fine."))
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible() == ["Fine."]


async def test_after_a_restart_the_same_addresses_are_links(machine: Machine) -> None:
    first = await machine.boot()
    question = await first.ask("What does https://example.com/a say?")
    await first.sees("Thinking…")
    await machine.pull_the_plug()
    second = await machine.boot(answering("See https://example.com/a, not https://example.com/b."))
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible() == ["See https://example.com/a, not `https://example.com/b`."]


async def test_a_post_killed_before_it_was_recorded_is_found_again(machine: Machine) -> None:
    first = await machine.boot()
    machine.dies_before("add_post")
    question = await first.ask("How are you?")
    await machine.dies()
    assert first.visible() == ["Thinking…"]
    assert (await machine.store.unfinished())[0].posts == ()
    second = await machine.boot(answering("Fine."))
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible() == ["Fine."]


async def test_who_waited_behind_another_is_answered_in_the_message_that_said_so(
    machine: Machine,
) -> None:
    first = await machine.boot()
    await first.ask("One?")
    waiting = await first.ask("Two?")
    await first.sees("Thinking…", "Next in this thread…")
    await machine.pull_the_plug()
    second = await machine.boot(answering("First.", "Second."))
    await ended_as(machine, second, waiting, TurnState.DONE)
    assert second.visible() == ["First.", "Second."]


async def test_a_wait_killed_before_its_message_was_recorded_is_found_again(
    machine: Machine,
) -> None:
    first = await machine.boot()
    await first.ask("One?")
    await first.sees("Thinking…")
    machine.dies_before("add_post")
    waiting = await first.ask("Two?")
    await machine.dies()
    assert first.visible() == ["Thinking…", "Next in this thread…"]
    second = await machine.boot(answering("First.", "Second."))
    await ended_as(machine, second, waiting, TurnState.DONE)
    assert second.visible() == ["First.", "Second."]


async def test_what_was_posted_but_not_recorded_is_found_when_it_is_stopped_before_it_goes_on(
    machine: Machine,
) -> None:
    first = await machine.boot()
    await first.ask("Elsewhere?", thread="t0")
    await first.sees("Thinking…", thread="t0")
    machine.dies_before("add_post")
    left = await first.ask("One?")
    await machine.dies()
    assert first.visible() == ["Thinking…"]
    second = await machine.boot()
    await second.generation()
    await second.react(left.message_id, "octagonal_sign")
    await ended_as(machine, second, left, TurnState.STOPPED)
    assert second.visible() == ["Stopped."]


async def test_stop_under_a_direct_message_that_was_not_recorded_stops_what_waits_to_go_on(
    machine: Machine,
) -> None:
    first = await machine.boot()
    await first.ask("Elsewhere?", thread="t0")
    await first.sees("Thinking…", thread="t0")
    machine.dies_before("add_post")
    left = await first.ask("One?", thread="", channel="D", is_direct=True)
    await machine.dies()
    second = await machine.boot()
    await second.generation()
    (shown,) = (m for m in second.platform.messages.values() if m.place.channel == "D")
    await second.service.handle(
        StopRequest(event_id="s", place=shown.place, person=ADA, message_id=shown.id)
    )
    await ended_as(machine, second, left, TurnState.STOPPED)
    assert second.visible("", "D") == ["Stopped."]


async def test_who_waited_too_long_for_a_restart_is_told_so_in_the_same_message(
    machine: Machine,
) -> None:
    first = await machine.boot()
    await first.ask("One?")
    waiting = await first.ask("Two?")
    await first.sees("Thinking…", "Next in this thread…")
    await machine.pull_the_plug()
    await machine.clock.advance(1000)
    second = await machine.boot()
    await ended_as(machine, second, waiting, TurnState.INTERRUPTED)
    assert all("I was interrupted" in text for text in second.visible())
    assert len(second.visible()) == 2


@pytest.mark.parametrize("again", ["retry", "continue"])
async def test_an_old_answer_that_was_asked_for_again_just_now_is_given(
    machine: Machine, again: str
) -> None:
    first = await machine.boot()
    question = await first.ask("How are you?")
    generation = await first.generation()
    generation.say("I am")
    generation.finish(FinishReason.LENGTH)
    await first.ended(question)
    await machine.clock.advance(1000)
    await first.ask(again)
    await first.generation()
    await machine.pull_the_plug()
    second = await machine.boot(answering(" fine."))
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible()[0].endswith("fine.")


async def test_who_waited_too_long_for_it_is_told_so_whenever_it_was_asked_for(
    machine: Machine,
) -> None:
    first = await machine.boot(answering("Fine."))
    question = await first.ask("How are you?")
    await first.ended(question)
    await machine.clock.advance(1000)
    await first.ask("retry")
    await first.generation()
    await machine.pull_the_plug()
    await machine.clock.advance(1000)
    second = await machine.boot()
    await ended_as(machine, second, question, TurnState.INTERRUPTED)


async def test_a_kill_between_the_final_edit_and_the_end_on_disk_doubles_nothing(
    machine: Machine,
) -> None:
    first = await machine.boot(answering("Fine."))
    machine.dies_before("finish")
    question = await first.ask("How are you?")
    await machine.dies()
    assert first.visible() == ["Fine."]
    second = await machine.boot(answering("Well."))
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible() == ["Well."]


async def test_a_question_that_killed_two_processes_is_not_tried_a_third_time(
    machine: Machine,
) -> None:
    first = await machine.boot()
    question = await first.ask("How are you?")
    for _ in range(2):
        await first.sees("Thinking…")
        await first.generation()
        await machine.pull_the_plug()
        first = await machine.boot()
    await ended_as(machine, first, question, TurnState.FAILED)
    assert len(first.visible()) == 1
    assert "interrupted twice" in first.visible()[0]
    first.generator.replies.append("Fine.")
    await first.ask("retry")
    await first.sees("Fine.")


async def test_what_is_too_old_says_so_and_offers_retry(machine: Machine) -> None:
    first = await machine.boot()
    question = await first.ask("How are you?")
    await first.sees("Thinking…")
    await machine.pull_the_plug()
    await machine.clock.advance(1000)
    second = await machine.boot()
    await ended_as(machine, second, question, TurnState.INTERRUPTED)
    assert second.visible() == [
        "I was interrupted before I could answer this. Say `retry` to try again."
    ]
    second.generator.replies.append("Fine.")
    await second.ask("retry")
    await second.sees("Fine.")


async def test_what_was_left_is_taken_up_one_at_a_time(machine: Machine) -> None:
    first = await machine.boot()
    for thread in ("t1", "t2", "t3"):
        await first.ask("How are you?", thread=thread)
    await first.quiet()
    await machine.pull_the_plug()
    second = await machine.boot()
    for number in (1, 2, 3):
        generation = await second.generation()
        await second.quiet()
        assert len(second.generator.generations) == number
        generation.say("Fine.")
        generation.finish()
    await second.until(lambda: all(second.visible(f"t{n}") == ["Fine."] for n in (1, 2, 3)))


async def test_a_new_question_does_not_wait_for_what_was_left_in_other_threads(
    machine: Machine,
) -> None:
    first = await machine.boot()
    for thread in ("t1", "t2"):
        await first.ask("How are you?", thread=thread)
    await machine.pull_the_plug()
    second = await machine.boot()
    await second.generation()
    await second.answered("Me first?", "Sure.", thread="t3", person=BOB)


async def test_a_new_question_follows_what_was_left_in_its_own_thread(machine: Machine) -> None:
    first = await machine.boot()
    await first.ask("Elsewhere?", thread="t0")
    left = await first.ask("One?")
    await machine.pull_the_plug()
    second = await machine.boot()
    await second.generation()  # of t0: it holds up what was left, not who asks anew
    second.generator.replies.extend(["First.", "Second."])
    question = await second.ask("Two?")
    await second.ended(question)
    assert second.visible() == ["First.", "Second."]
    assert (await second.turn(left)).reply == "First."


async def test_what_was_left_can_be_stopped_before_it_begins_again(machine: Machine) -> None:
    first = await machine.boot()
    await first.ask("Elsewhere?", thread="t0")
    left = await first.ask("One?")
    await first.sees("Thinking…")
    await machine.pull_the_plug()
    second = await machine.boot()
    await second.generation()
    await second.react(left.message_id, "octagonal_sign")
    await ended_as(machine, second, left, TurnState.STOPPED)
    assert second.visible() == ["Stopped."]


async def test_draining_lets_replies_end_and_begins_no_more(machine: Machine) -> None:
    first = await machine.boot()
    question = await first.ask("One?")
    waiting = await first.ask("Two?")
    generation = await first.generation()
    drain = asyncio.ensure_future(first.service.drain(15, asyncio.Event()))
    await first.quiet()
    late = await first.ask("Three?", thread="t2")
    generation.say("First.")
    generation.finish()
    await first.until(drain.done)
    assert (await first.turn(question)).state is TurnState.DONE
    await first.close()
    for each in (waiting, late):
        assert (await first.turn(each)).state is TurnState.QUEUED
    second = await machine.boot(answering("Later.", "Later."))
    await second.ended(waiting)
    await second.ended(late)
    assert second.visible() == ["First.", "Later."]


async def test_what_a_drain_cuts_off_is_queued_as_if_never_tried(machine: Machine) -> None:
    first = await machine.boot()
    question = await first.ask("One?")
    generation = await first.generation()
    generation.say("Fir")
    await first.sees("Fir")
    waiting = await first.ask("Two?")
    await first.sees("Fir", "Next in this thread…")
    drain = asyncio.ensure_future(first.service.drain(2, asyncio.Event()))
    await first.until(drain.done)
    await first.close()
    assert generation.is_cancelled
    turn = await first.turn(question)
    assert (turn.state, turn.attempts) == (TurnState.QUEUED, 0)
    assert first.visible() == ["Fir", "Next in this thread…"]
    second = await machine.boot(answering("First.", "Second."))
    await second.ended(waiting)
    assert second.visible() == ["First.", "Second."]


async def test_a_drain_does_not_wait_for_a_platform_that_is_out_of_reach(
    machine: Machine,
) -> None:
    first = await machine.boot(answering("Fine."))
    first.platform.fail("post", *[Unavailable("down", ambiguous=False)] * 1000)
    question = await first.ask("How are you?")
    began = machine.clock.monotonic()
    drain = asyncio.ensure_future(first.service.drain(2, asyncio.Event()))
    await first.until(drain.done)
    await first.close()
    assert machine.clock.monotonic() - began < 15
    assert not (await first.turn(question)).state.is_finished
    second = await machine.boot(answering("Fine."))
    await ended_as(machine, second, question, TurnState.DONE)


async def test_what_only_the_next_process_can_show_is_left_to_it(
    machine: Machine, tmp_path: Path
) -> None:
    """As where somebody chats in the terminal between a crash and the next start."""
    first = await machine.boot()
    question = await first.ask("How are you?")
    await first.sees("Thinking…")
    assert machine.platform is not None
    machine.platform.fail("post", *[Unavailable("No line.", ambiguous=False)] * 3)
    await first.service.handle(
        UnpostedQuestion(event_id="u", place=place("t2"), person=BOB, text="Why?")
    )
    await machine.pull_the_plug()
    between = await make(
        tmp_path,
        machine.store,
        clock=machine.clock,
        platform=FakePlatform(machine.clock, name="other"),
        elsewhere=("fake",),
    )
    await between.service.start()
    await between.quiet()
    await between.close()
    second = await machine.boot()
    for generation in [await second.generation(), await second.generation()]:  # whoever is first
        generation.say("Because." if generation.question == "Why?" else "Fine.")
        generation.finish()
    await ended_as(machine, second, question, TurnState.DONE)
    assert second.visible() == ["Fine."]
    await second.sees("Bob asks: Why?", "Because.", thread="t2")


async def test_a_turn_of_a_platform_that_is_off_is_interrupted(machine: Machine) -> None:
    elsewhere = Place("gone", "W", "C", "t1")
    question = Question(
        event_id="e",
        place=elsewhere,
        person=BOB,
        text="Hello?",
        message_id="q",
        sent_at=machine.clock.now(),
    )
    await machine.store.accept(question)
    talk = await machine.boot()
    turn = await talk.turn(question)
    assert turn.state is TurnState.INTERRUPTED
    assert await machine.store.unfinished() == []
    assert talk.visible() == []
    assert place().adapter != elsewhere.adapter
