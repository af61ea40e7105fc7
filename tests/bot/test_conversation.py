"""A question becomes a reply that grows; what a person in the chat sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import EngineFailed, NotPermitted, PromptTooLong, QueueFull, StorageFull
from bot.generation import ChatMessage, FinishReason, GenerationRequest
from bot.limits import Limits, RateRule
from bot.stored import TurnState
from tests.bot.talk import ADA, BOB, Talk, TalkClock, place, talking
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.platform import RichFakePlatform


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def test_a_question_gets_a_placeholder_then_a_growing_text_then_the_whole_reply(
    talk: Talk,
) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    await talk.sees("Thinking…")
    generation.say("I am ")
    await talk.sees("I am")
    generation.say("fine.")
    generation.finish()
    await talk.sees("I am fine.")
    turn = await talk.ended(question)
    assert (turn.state, turn.reply) == (TurnState.DONE, "I am fine.")


async def test_the_model_is_asked_with_personality_history_and_question(talk: Talk) -> None:
    await talk.answered("One?", "First.")
    await talk.answered("Two?", "Second.", is_mention=False)
    messages = talk.generator.generations[-1].request.messages
    assert [each.role for each in messages] == ["system", "user", "assistant", "user"]
    assert messages[0].content == "You are Parley."
    assert "One?" in messages[1].content
    assert messages[2].content == "First."
    assert "Two?" in messages[3].content


async def test_who_waits_sees_their_place_in_line(talk: Talk) -> None:
    await talk.ask("How are you?")
    generation = await talk.generation()
    generation.queue(3, wait=20)
    await talk.sees("You are 3rd in line, about 20 s…")
    generation.queue(0)
    await talk.sees("Thinking…")


async def test_a_follow_up_in_a_known_thread_needs_no_mention(talk: Talk) -> None:
    await talk.answered("One?", "First.")
    await talk.answered("Two?", "Second.", is_mention=False)
    assert talk.visible() == ["First.", "Second."]


async def test_a_message_in_an_unknown_thread_is_none_of_our_business(talk: Talk) -> None:
    await talk.ask("Lunch?", is_mention=False)
    await talk.quiet()
    assert talk.visible() == []
    assert await talk.store.unfinished() == []


async def test_a_message_to_somebody_else_is_context_for_the_next_question(talk: Talk) -> None:
    await talk.answered("One?", "First.")
    await talk.ask("It was blue.", person=BOB, is_mention=False, mentions_others=True)
    await talk.answered("Which colour?", "Blue.")
    assert talk.visible() == ["First.", "Blue."]
    assert "Bob: It was blue." in talk.generator.generations[-1].question


async def test_a_message_delivered_four_times_twice_at_once_is_answered_once(talk: Talk) -> None:
    talk.generator.replies.extend(["Once.", "Twice.", "Thrice."])
    await asyncio.gather(
        talk.ask("How are you?", message_id="q"), talk.ask("How are you?", message_id="q")
    )
    await talk.sees("Once.")
    await talk.ask("How are you?", message_id="q")
    await talk.ask("How are you?", message_id="q")
    await talk.quiet()
    assert talk.visible() == ["Once."]


async def test_two_questions_of_a_thread_are_answered_one_after_the_other(talk: Talk) -> None:
    await talk.ask("One?")
    second = await talk.ask("Two?", person=BOB)
    generation = await talk.generation()
    await talk.quiet()
    assert len(talk.generator.generations) == 1
    generation.say("First.")
    generation.finish()
    generation = await talk.generation()
    generation.say("Second.")
    generation.finish()
    await talk.ended(second)
    assert talk.visible() == ["First.", "Second."]
    assert generation.request.messages[2].content == "First."


async def test_twenty_people_at_once_are_answered_in_their_own_threads(talk: Talk) -> None:
    talk.generator.replies.extend(f"Reply {n}." for n in range(20))
    threads = [f"t{n}" for n in range(20)]
    await asyncio.gather(*(talk.ask("Me?", thread=thread) for thread in threads))
    await talk.until(lambda: all("Reply" in "".join(talk.visible(each)) for each in threads))
    assert sorted("".join(talk.visible(each)) for each in threads) == sorted(
        f"Reply {n}." for n in range(20)
    )


async def test_an_empty_question_gets_one_sentence_however_often_delivered(talk: Talk) -> None:
    await talk.ask(" \n", message_id="q", is_direct=True)
    await talk.ask(" \n", message_id="q", is_direct=True)
    await talk.sees("I see no question in this; please write one after my name.")
    assert talk.generator.generations == []


async def test_control_characters_do_not_reach_the_history(talk: Talk) -> None:
    question = await talk.answered("a\x00b\x1b[31m?", "Yes.")
    assert (await talk.turn(question)).text == "ab[31m?"


async def test_a_question_that_does_not_fit_gets_a_clear_answer(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=200)) as talk:
        question = await talk.ask("word " * 500)
        turn = await talk.ended(question)
        assert turn.state is TurnState.FAILED
        assert "shorten" in talk.visible()[0]


async def test_a_thread_that_only_the_engine_knows_to_be_too_long_goes_on_with_less(
    talk: Talk,
) -> None:
    for number in range(3):
        await talk.answered(f"Question {number}?", "word " * 20)
    question = await talk.ask("And now?")
    refused = await talk.generation()
    talk.generator.window = 180
    refused.refuse(PromptTooLong(200, 179))
    generation = await talk.generation()
    assert len(generation.request.messages) < len(refused.request.messages)
    assert generation.question == refused.question
    generation.say("Fine.")
    generation.finish()
    assert (await talk.ended(question)).state is TurnState.DONE
    assert talk.visible()[-1] == "Fine."


async def test_a_question_that_stays_too_long_for_the_engine_gets_a_clear_answer(
    talk: Talk,
) -> None:
    question = await talk.ask("How are you?")
    for _ in range(4):
        (await talk.generation()).refuse(PromptTooLong(200, 110))
    assert (await talk.ended(question)).state is TurnState.FAILED
    assert "too long for the model" in talk.visible()[0]


@pytest.mark.parametrize(
    ("reason", "note", "state"),
    [
        (FinishReason.LENGTH, "cut off at the length limit", TurnState.DONE),
        (FinishReason.LOOPED, "only repeated itself", TurnState.DONE),
        (FinishReason.ERROR, "Say `continue`", TurnState.FAILED),
    ],
)
async def test_a_reply_that_did_not_end_by_itself_says_so(
    talk: Talk, reason: FinishReason, note: str, state: TurnState
) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    generation.say("I am")
    generation.finish(reason)
    turn = await talk.ended(question)
    assert (turn.state, turn.reply) == (state, "I am")
    assert talk.visible()[0].startswith("I am\n\n")
    assert note in talk.visible()[0]


async def test_a_failed_engine_is_told_in_one_sentence_that_offers_retry(talk: Talk) -> None:
    talk.generator.failures.append(EngineFailed("The model ran out of memory."))
    question = await talk.ask("How are you?")
    assert (await talk.ended(question)).state is TurnState.FAILED
    assert talk.visible() == ["The model ran out of memory. Say `retry` to try again."]


async def test_an_unexpected_error_fails_one_turn_and_no_other(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    count = talk.generator.count
    failures = [ZeroDivisionError("oh")]

    async def faulty(messages: object) -> int:
        if failures:
            raise failures.pop()
        return await count(messages)  # type: ignore[arg-type]

    monkeypatch.setattr(talk.generator, "count", faulty)
    broken = await talk.ask("One?")
    assert (await talk.ended(broken)).state is TurnState.FAILED
    assert talk.visible() == ["Something went wrong inside me. Say `retry` to try again."]
    assert "ZeroDivisionError" in caplog.text
    await talk.answered("Two?", "Second.")
    assert talk.visible()[1:] == ["Second."]


async def test_who_finds_the_engine_full_waits_and_is_answered_when_there_is_room(
    talk: Talk,
) -> None:
    await talk.ask("One?", thread="t1")
    first = await talk.generation()
    talk.generator.failures.extend([QueueFull(3), QueueFull(3)])
    talk.generator.replies.append("Second.")
    second = await talk.ask("Two?", thread="t2")
    await talk.sees("You are next in line…", thread="t2")
    assert (await talk.turn(second)).state is TurnState.QUEUED
    first.say("First.")
    first.finish()
    await talk.sees("Second.", thread="t2")
    assert (await talk.ended(second)).attempts == 1


async def test_who_came_first_is_answered_first_when_there_is_room_again(talk: Talk) -> None:
    await talk.ask("One?", thread="t1")
    first = await talk.generation()
    talk.generator.failures.append(QueueFull(3))
    await talk.ask("Two?", thread="t2")
    await talk.sees("You are next in line…", thread="t2")
    await talk.ask("Three?", thread="t3")
    await talk.sees("You are 2nd in line…", thread="t3")
    first.finish()
    assert "Two?" in (await talk.generation()).question
    assert "Three?" in (await talk.generation()).question


async def test_a_reply_that_cannot_be_delivered_is_a_turn_that_says_so(talk: Talk) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()
    await talk.sees("Thinking…")
    talk.platform.fail("edit", NotPermitted("The token was revoked."))
    generation.say("Fine.")
    generation.finish()
    turn = await talk.ended(question)
    assert turn.state is TurnState.FAILED
    assert turn.reply.startswith("I have an answer, but could not show it here.")


async def test_every_end_is_counted_by_platform_and_state(talk: Talk) -> None:
    await talk.answered("One?", "First.")
    assert b'parley_turns_total{adapter="fake",state="done"} 1.0' in talk.metrics.expose()


async def test_a_thread_that_outgrows_the_window_keeps_being_answered(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=400)) as talk:
        for number in range(12):
            await talk.answered(f"Question {number} " + "word " * 40, "word " * 20)
        kept = await talk.store.turns(place())
        assert len(kept) < 12
        assert len(talk.visible()) == 12


class ReadingAhead(ScriptedGenerator):
    """``read_ahead``: the messages of every call of ``warm``."""

    def __init__(self, window: int) -> None:
        super().__init__(window)
        self.read_ahead: list[tuple[ChatMessage, ...]] = []

    async def warm(self, request: GenerationRequest) -> None:
        self.read_ahead.append(request.messages)


async def test_a_thread_cut_to_the_window_is_read_again_before_its_next_question(
    tmp_path: Path,
) -> None:
    generator = ReadingAhead(window=400)
    async with talking(tmp_path, generator=generator) as talk:
        while not generator.read_ahead:
            await talk.answered("Question " + "word " * 40, "word " * 20)
            await talk.quiet()
        [read_ahead] = generator.read_ahead
        await talk.answered("And now?", "Well.")
        assert generator.generations[-1].request.messages[:-1] == read_ahead


async def test_a_person_has_the_threads_in_which_they_asked(talk: Talk) -> None:
    await talk.answered("How tall is Everest?", "8,849 m.")
    [thread] = await talk.service.threads(ADA)
    assert (thread.place, thread.num_turns) == (place(), 1)
    assert thread.title == "How tall is Everest?"


async def test_a_full_disk_takes_no_reply_from_anybody_and_the_turn_ends_when_there_is_room(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = await talk.ask("How are you?")
    generation = await talk.generation()

    async def full(*_: object, **__: object) -> None:
        raise StorageFull("The disk is full.")

    with monkeypatch.context() as disk:
        disk.setattr(talk.store, "add_post", full)
        disk.setattr(talk.store, "finish", full)
        generation.say("Fine.")
        generation.finish()
        await talk.sees("Fine.")
        await talk.quiet()
    assert not (await talk.turn(question)).state.is_finished
    assert (await talk.ended(question)).reply == "Fine."
    assert talk.visible() == ["Fine."]


async def test_twenty_people_on_a_platform_with_narrow_limits_all_get_their_reply(
    tmp_path: Path,
) -> None:
    clock = TalkClock()
    rules = (
        RateRule(frozenset({"post"}), "channel", 1, 1.0),
        RateRule(frozenset({"edit"}), "workspace", 50, 60.0),
    )
    platform = RichFakePlatform(clock, Limits(max_size=4000, rules=rules))
    async with talking(tmp_path, clock=clock, platform=platform) as talk:
        talk.generator.replies.extend(["Fine, thank you."] * 20)
        threads = [f"t{n}" for n in range(20)]
        await asyncio.gather(*(talk.ask("How are you?", thread=each) for each in threads))
        await talk.until(lambda: all(talk.visible(t) == ["Fine, thank you."] for t in threads))
        assert platform.violations == []


async def test_a_notice_that_cannot_be_delivered_harms_nobody(talk: Talk) -> None:
    talk.platform.fail("whisper", NotPermitted("Not a member."))
    talk.platform.fail("post", NotPermitted("Not a member."))
    await talk.ask("stop")
    await talk.ask("help")
    await talk.quiet()
    await talk.answered("How are you?", "Fine.")
    assert talk.visible() == ["Fine."]
