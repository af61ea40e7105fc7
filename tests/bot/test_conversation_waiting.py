"""Who asks while their thread is busy sees at once that they wait, and where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import EngineFailed, Unavailable
from bot.generation import ChatMessage, CompletionRequest
from bot.limits import Limits, RateRule
from bot.stored import TurnState
from tests.bot.talk import ADA, BOB, Talk, TalkClock, place, talking
from tests.fakes.platform import RichFakePlatform


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def finish(talk: Talk, text: str) -> None:
    """The next generation says ``text`` and ends."""
    generation = await talk.generation()
    generation.say(text)
    generation.finish()


async def test_the_answer_grows_in_the_message_that_said_next_in_this_thread(talk: Talk) -> None:
    await talk.ask("One?")
    second = await talk.ask("Two?", person=BOB)
    await talk.sees("Thinking…", "Next in this thread…")
    assert len(talk.generator.generations) == 1
    await finish(talk, "First.")
    await talk.sees("First.", "Thinking…")
    await finish(talk, "Second.")
    await talk.ended(second)
    assert talk.visible() == ["First.", "Second."]
    assert len(talk.platform.made("post")) == 2


async def test_who_waits_moves_up_as_those_ahead_are_answered(talk: Talk) -> None:
    for text in ("One?", "Two?", "Three?"):
        await talk.ask(text)
    await talk.sees("Thinking…", "Next in this thread…", "2nd in line in this thread…")
    await finish(talk, "First.")
    await talk.sees("First.", "Thinking…", "Next in this thread…")


async def test_who_waits_moves_up_when_somebody_ahead_gives_up(talk: Talk) -> None:
    await talk.ask("One?", person=BOB)
    second = await talk.ask("Two?")
    await talk.ask("Three?", person=BOB)
    await talk.react(second.message_id, "octagonal_sign")
    await talk.sees("Thinking…", "Stopped.", "Next in this thread…")


async def test_other_threads_do_not_wait(talk: Talk) -> None:
    await talk.ask("One?", thread="t1")
    await talk.ask("Two?", thread="t2")
    await talk.sees("Thinking…", thread="t2")


async def test_messages_stand_in_the_order_of_their_questions(talk: Talk) -> None:
    talk.platform.fail("post", *[Unavailable("down", ambiguous=False)] * 2)
    await talk.ask("One?")
    await talk.ask("Two?")
    await talk.sees("Thinking…", "Next in this thread…")


async def test_nobody_waits_for_the_last_words_of_what_was_stopped(tmp_path: Path) -> None:
    clock = TalkClock()
    rules = (RateRule(frozenset({"edit"}), "message", 1, 60.0),)
    platform = RichFakePlatform(clock, Limits(max_size=4000, rules=rules))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        questions = [await talk.ask(text) for text in ("One?", "Two?", "Three?", "Four?")]
        await talk.react(questions[1].message_id, "octagonal_sign")
        await talk.until(lambda: talk.visible()[1:3] == ["Stopped.", "Next in this thread…"])
        await talk.react(questions[2].message_id, "octagonal_sign")
        first = await talk.generation()
        first.say("First.")
        first.finish()
        assert "Four?" in (await talk.generation()).question
        assert talk.is_under_way(await talk.turn(questions[2]))  # "Stopped." waits for the limit


async def test_what_waits_is_forgotten_with_its_thread(talk: Talk) -> None:
    await talk.ask("One?")
    await talk.ask("Two?")
    await talk.sees("Thinking…", "Next in this thread…")
    await talk.ask("forget")
    await talk.until(lambda: talk.visible()[:2] == ["Stopped.", "Stopped."])
    assert await talk.store.turns(place()) == []


async def test_stop_after_an_edit_is_not_lost_between_two_runs(tmp_path: Path) -> None:
    clock = TalkClock()
    platform = RichFakePlatform(clock, latency=lambda: 1.0)
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        question = await talk.ask("One?")
        generation = await talk.generation()
        await talk.sees("Thinking…")
        generation.say("I am")
        await clock.advance(0.6)  # the edit of the message is under way
        await talk.edit(question, "Two?")
        await talk.react(question.message_id, "octagonal_sign")
        turn = await talk.ended(question)
        assert (turn.state, turn.text) == (TurnState.STOPPED, "Two?")
        assert talk.visible() == ["Stopped."]
        assert len(talk.generator.generations) == 1


async def test_retry_is_heard_while_the_eyes_under_its_question_wait_for_the_limit(
    tmp_path: Path,
) -> None:
    clock = TalkClock()
    rules = (
        RateRule(frozenset({"post"}), "channel", 1, 5.0),
        RateRule(frozenset({"unreact"}), "workspace", 1, 30.0),
    )
    platform = RichFakePlatform(clock, Limits(max_size=4000, rules=rules))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        talk.generator.replies.extend(["First.", "Second.", "Bad."])
        questions = []
        for thread in ("t1", "t2", "t3"):
            questions.append(await talk.ask("How are you?", thread=thread))
            await talk.until(lambda: len(talk.generator.generations) == len(questions))
        await talk.sees("Bad.", thread="t3")
        turn = await talk.turn(questions[2])
        assert turn.state.is_finished
        await talk.until(lambda: not talk.is_under_way(turn))
        assert len(platform.made("react")) > len(platform.made("unreact"))
        talk.generator.replies.append("Good.")
        await talk.ask("retry", thread="t3")
        await talk.sees("Good.", thread="t3")
        assert (await talk.ended(questions[2])).reply == "Good."


async def test_a_caller_that_hangs_up_leaves_its_question_to_be_answered(talk: Talk) -> None:
    talk.generator.replies.append("First.")
    asking = asyncio.create_task(talk.ask("One?", message_id="q"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await talk.sees("First.")
    await talk.ask("One?", message_id="q")
    await talk.quiet()
    assert talk.visible() == ["First."]


async def test_an_error_ends_its_turn_and_who_waits_goes_on(talk: Talk) -> None:
    await talk.ask("One?")
    generation = await talk.generation()
    second = await talk.ask("Two?", person=BOB)
    talk.generator.failures.append(EngineFailed("The model failed."))
    generation.finish()
    await talk.ended(second)
    assert "The model failed." in talk.visible()[1]
    assert talk.access.remainder(ADA).in_flight is None


async def test_who_asks_once_does_not_wait_for_the_three_hundred_questions_of_another(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, max_waiting_per_channel=0) as talk:
        talk.generator.max_unfinished = 4
        for number in range(300):
            await talk.ask("Me?", person=ADA, thread=f"t{number}")
        await talk.until(lambda: len(talk.generator.generations) == 4)
        await talk.ask("And I?", person=BOB, thread="bob")
        await talk.sees("You are next in line…", thread="bob")
        num_refused = talk.generator.num_refused
        for _ in range(6):
            generation = await talk.generation()
            if "And I?" in generation.question:
                break
            generation.say("You.")
            generation.finish()
        assert "And I?" in generation.question
        assert talk.generator.num_refused == num_refused


async def test_a_place_in_line_counts_those_in_the_engines_queue_by_person(talk: Talk) -> None:
    talk.generator.max_unfinished = 3
    for thread in ("t1", "t2", "t3"):
        await talk.ask("Me?", thread=thread)
    generations = [await talk.generation() for _ in range(3)]
    generations[1].queue(1)
    generations[2].queue(2)
    await talk.ask("Me?", thread="t4")
    await talk.sees("You are 3rd in line…", thread="t4")
    await talk.ask("And I?", thread="bob", person=BOB)
    await talk.sees("You are 2nd in line…", thread="bob")
    await talk.sees("You are 4th in line…", thread="t4")


async def test_who_waits_goes_on_when_a_program_makes_room(talk: Talk) -> None:
    talk.generator.max_unfinished = 1
    messages = (ChatMessage("user", "Hello?"),)
    program = await talk.service.complete(CompletionRequest(account="local", messages=messages))
    await talk.generation()
    await talk.ask("And I?")
    await talk.sees("You are next in line…")
    cancelled_at = talk.clock.monotonic()
    program.cancel()
    assert "And I?" in (await talk.generation()).question
    assert talk.clock.monotonic() - cancelled_at < 1
