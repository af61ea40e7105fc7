"""Programs with a history: sessions that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.answer_formats import JsonObject
from bot.errors import (
    AccessDenied,
    EmptyQuestion,
    EngineFailed,
    OverLimit,
    PromptTooLong,
    QueueFull,
    StorageError,
    UnknownPersonality,
)
from bot.generation import ChatMessage, Delta, Finished, FinishReason, GenerationEvent, Reasoning
from bot.ports import Generation
from bot.stored import Turn, TurnState
from bot.types import Session, SessionQuestion
from tests.bot.talk import Talk, TalkClock, locked, make, open_test_store, talking
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator

SESSION = Session("local", "pirate", "urn:uuid:1")
SYSTEM = ChatMessage("system", "You are a pirate.")


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def asked(talk: Talk, text: str, session: Session = SESSION) -> Generation:
    return await talk.service.converse(SessionQuestion(session=session, text=text))


async def events(generation: Generation) -> list[GenerationEvent]:
    return [event async for event in generation]


async def read(generation: Generation) -> str:
    return "".join(each.text for each in await events(generation) if isinstance(each, Delta))


async def end_of(generation: Generation) -> Finished:
    *_, last = await events(generation)
    assert isinstance(last, Finished)
    return last


async def answered(talk: Talk, text: str, reply: str, session: Session = SESSION) -> None:
    talk.generator.replies.append(reply)
    assert await read(await asked(talk, text, session)) == reply


def prompt(talk: Talk) -> list[tuple[str, str]]:
    messages = talk.generator.generations[-1].request.messages
    return [(each.role, each.content) for each in messages[1:]]


async def turns(talk: Talk, session: Session = SESSION) -> list[Turn]:
    return await talk.store.turns(session.place)


async def test_a_session_goes_on_under_its_personality(talk: Talk) -> None:
    await answered(talk, "Who are you?", "Blackbeard.")
    await answered(talk, "And your ship?", "The Revenge.")
    request = talk.generator.generations[-1].request
    assert request.messages[0] == SYSTEM
    assert prompt(talk) == [
        ("user", "Who are you?"),
        ("assistant", "Blackbeard."),
        ("user", "And your ship?"),
    ]
    assert request.thread == str(SESSION.place)
    assert [turn.state for turn in await turns(talk)] == [TurnState.DONE] * 2


@pytest.mark.parametrize(
    "other",
    [
        replace(SESSION, key="urn:uuid:2"),
        replace(SESSION, account="mallory"),
        replace(SESSION, account="user:ada"),
        replace(SESSION, personality="assistant"),
    ],
)
async def test_the_key_is_that_of_another_session_to_everybody_else(
    talk: Talk, other: Session
) -> None:
    await answered(talk, "My secret is 42.", "Aye.")
    await answered(talk, "What is my secret?", "I know none.", other)
    assert prompt(talk) == [("user", "What is my secret?")]
    await answered(talk, "And now?", "42.")
    assert prompt(talk)[0] == ("user", "My secret is 42.")


async def test_a_session_survives_a_restart(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await answered(talk, "Who are you?", "Blackbeard.")
    async with talking(tmp_path) as talk:
        await answered(talk, "Say it again.", "Blackbeard.")
        assert ("assistant", "Blackbeard.") in prompt(talk)


async def test_two_prompts_at_once_are_answered_one_after_the_other(talk: Talk) -> None:
    first = await asked(talk, "One?")
    second = await asked(talk, "Two?")
    other = await asked(talk, "Another?", replace(SESSION, key="urn:uuid:2"))
    led = [await talk.generation(), await talk.generation()]
    await talk.quiet()
    assert {each.question for each in led} == {"One?", "Another?"}
    for each in led:
        each.say("Aye.")
        each.finish()
    assert await read(first) == await read(other) == "Aye."
    last = await talk.generation()
    assert prompt(talk) == [("user", "One?"), ("assistant", "Aye."), ("user", "Two?")]
    last.finish()
    await events(second)


async def test_a_session_never_outgrows_the_window(tmp_path: Path) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=200)) as talk:
        for number in range(30):
            await answered(talk, f"{number} " + "word " * 20, "Aye.")
        assert len(await turns(talk)) < 15
        assert prompt(talk)[-1][1].startswith("29 ")


async def test_what_is_too_long_by_itself_is_refused_and_the_session_goes_on(
    tmp_path: Path,
) -> None:
    async with talking(tmp_path, generator=ScriptedGenerator(window=200)) as talk:
        await answered(talk, "Who are you?", "Blackbeard.")
        with pytest.raises(PromptTooLong):
            await events(await asked(talk, "word " * 300))
        await answered(talk, "Who?", "Blackbeard.")
        assert prompt(talk)[0] == ("user", "Who are you?")


@pytest.mark.parametrize(("account", "num_people"), [("acme", 2), ("user:ada", 1)])
async def test_the_engine_is_fair_to_each_session_of_a_key_and_to_who_has_signed_in(
    talk: Talk, account: str, num_people: int
) -> None:
    for key in ("one", "two"):
        await answered(talk, "One?", "Aye.", replace(SESSION, account=account, key=key))
    people = {each.request.person for each in talk.generator.generations}
    assert len(people) == num_people


async def test_the_format_and_the_cap_reach_the_model(talk: Talk) -> None:
    talk.generator.replies.append("{}")
    question = SessionQuestion(session=SESSION, text="Hi", answer_format=JsonObject(), max_tokens=7)
    await events(await talk.service.converse(question))
    request = talk.generator.generations[-1].request
    assert (request.answer_format, request.max_tokens) == (JsonObject(), 7)
    await answered(talk, "Hi", "Aye.")
    assert talk.generator.generations[-1].request.max_tokens == 100


# Leaving


async def states(talk: Talk) -> list[TurnState]:
    return [turn.state for turn in await turns(talk)]


async def test_leaving_while_it_waits_in_its_session(talk: Talk) -> None:
    first = await asked(talk, "One?")
    second = await asked(talk, "Two?")
    led = await talk.generation()
    second.cancel()
    assert await events(second) == [Finished(FinishReason.CANCELLED)]
    assert await states(talk) == [TurnState.RUNNING, TurnState.STOPPED]
    led.say("Aye.")
    led.finish()
    assert await read(first) == "Aye."


async def test_leaving_while_the_engine_has_no_room(talk: Talk) -> None:
    talk.generator.failures.append(QueueFull(60.0))
    generation = await asked(talk, "One?")
    await talk.until(lambda: not talk.generator.failures)
    generation.cancel()
    assert await events(generation) == [Finished(FinishReason.CANCELLED)]
    assert await states(talk) == [TurnState.STOPPED]
    await answered(talk, "Two?", "Aye.")


async def test_leaving_amid_the_reply_keeps_what_was_shown(talk: Talk) -> None:
    generation = await asked(talk, "One?")
    led = await talk.generation()
    led.say("Aye, ")
    assert await anext(generation) == Delta("Aye, ")
    generation.cancel()
    await talk.until(lambda: led.is_cancelled)
    assert (await end_of(generation)).reason is FinishReason.CANCELLED
    await answered(talk, "Two?", "Aye.")
    assert prompt(talk)[:2] == [("user", "One?"), ("assistant", "Aye, ")]
    generation.cancel()
    assert await states(talk) == [TurnState.STOPPED, TurnState.DONE]


async def test_leaving_while_the_question_is_stored(talk: Talk) -> None:
    asking = asyncio.create_task(asked(talk, "One?"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await talk.quiet()
    assert await states(talk) in ([], [TurnState.STOPPED])
    await answered(talk, "Two?", "Aye.")


async def test_a_reply_that_nobody_reads_is_kept(talk: Talk) -> None:
    await asked(talk, "One?")
    led = await talk.generation()
    led.say("Aye.")
    led.finish()
    await talk.quiet()
    assert [turn.reply for turn in await turns(talk)] == ["Aye."]


# Faults


async def test_a_question_waits_where_the_engine_has_no_room(talk: Talk) -> None:
    talk.generator.failures.append(QueueFull(1.0))
    talk.generator.replies.append("Aye.")
    reading = asyncio.create_task(read(await asked(talk, "One?")))
    await talk.until(reading.done)
    assert reading.result() == "Aye."


async def test_of_two_hundred_at_once_nobody_is_lost(talk: Talk) -> None:
    talk.generator.max_unfinished = 4
    sessions = [replace(SESSION, key=f"urn:uuid:{number}") for number in range(200)]
    reading = [
        asyncio.create_task(read(await asked(talk, f"Number {number}?", session)))
        for number, session in enumerate(sessions)
    ]

    def lead() -> bool:
        for each in talk.generator.generations:
            if each.finished is None:
                each.say(each.question)
                each.finish()
        return all(task.done() for task in reading)

    await talk.until(lead)
    assert [task.result() for task in reading] == [f"Number {number}?" for number in range(200)]
    assert talk.generator.num_refused


async def test_a_failure_of_the_engine_ends_the_reply_with_what_there_is(talk: Talk) -> None:
    generation = await asked(talk, "One?")
    led = await talk.generation()
    led.say("Ay")
    led.finish(FinishReason.ERROR, "The engine broke.")
    assert await anext(generation) == Delta("Ay")
    end = await end_of(generation)
    assert (end.reason, end.detail) == (FinishReason.ERROR, "The engine broke.")
    assert await states(talk) == [TurnState.FAILED]


async def test_an_engine_that_takes_nothing_is_told(talk: Talk) -> None:
    talk.generator.failures.append(EngineFailed("The engine is gone."))
    with pytest.raises(EngineFailed, match="is gone"):
        await events(await asked(talk, "One?"))
    assert await states(talk) == [TurnState.FAILED]


async def test_a_defect_is_told_without_its_details(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> int:
        raise ValueError("inner secret")

    monkeypatch.setattr(talk.generator, "count", broken)
    with pytest.raises(EngineFailed, match=r"^Something went wrong inside me\.$"):
        await events(await asked(talk, "One?"))
    assert "inner secret" in caplog.text
    assert await states(talk) == [TurnState.FAILED]


async def test_a_question_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    async with talking(tmp_path, busy_timeout=0.05, max_in_flight=1) as talk:
        ada = replace(SESSION, account="user:ada")
        with locked(tmp_path), pytest.raises(StorageError):
            await asked(talk, "One?", ada)
        await answered(talk, "Two?", "Aye.", ada)


async def test_reasoning_is_told_unless_the_personality_hides_it(tmp_path: Path) -> None:
    folder = tmp_path / "personalities"
    folder.mkdir()
    (folder / "thinker.md").write_text("---\ntitle: T\nreasoning: shown\n---\nHm.\n")
    async with talking(tmp_path) as talk:
        for name, is_told in (("thinker", True), ("pirate", False)):
            generation = await asked(talk, "Why?", replace(SESSION, personality=name))
            led = await talk.generation()
            led.think("Hm.")
            led.say("So.")
            led.finish()
            assert (Reasoning("Hm.") in await events(generation)) is is_told


# Rules


async def test_who_may_not_ask_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    async with talking(tmp_path, deny=["http:user:mallory"]) as talk:
        mallory = replace(SESSION, account="user:mallory")
        with pytest.raises(AccessDenied):
            await asked(talk, "One?", mallory)
        with pytest.raises(AccessDenied):
            await talk.service.forget(mallory)
        assert await turns(talk, mallory) == []
        await answered(talk, "One?", "Aye.")


@pytest.mark.parametrize("account", ["acme", "user:ada"])
async def test_limits_count_the_key_or_who_has_signed_in(tmp_path: Path, account: str) -> None:
    session = replace(SESSION, account=account)
    async with talking(tmp_path, max_in_flight=1) as talk:
        first = await asked(talk, "One?", session)
        with pytest.raises(OverLimit):
            await asked(talk, "Two?", replace(session, key="urn:uuid:2"))
        first.cancel()
        await events(first)
        await answered(talk, "Three?", "Aye.", session)


async def test_nobody_is_limited_on_this_machine_but_in_one_session(tmp_path: Path) -> None:
    async with talking(tmp_path, max_in_flight=1, max_waiting_per_channel=2) as talk:
        sessions = [replace(SESSION, key=f"urn:uuid:{number}") for number in range(5)]
        generations = [await asked(talk, "One?", each) for each in sessions]
        await asked(talk, "Two?")
        with pytest.raises(OverLimit, match="2 questions of this session are waiting"):
            await asked(talk, "Three?")
        assert len(generations) == 5


async def test_an_unknown_personality_or_no_question_is_refused(talk: Talk) -> None:
    with pytest.raises(UnknownPersonality):
        await asked(talk, "One?", replace(SESSION, personality="ninja"))
    with pytest.raises(EmptyQuestion):
        await asked(talk, " \n\0")
    assert await turns(talk) == []


async def test_the_case_of_a_personality_does_not_matter(talk: Talk) -> None:
    await answered(talk, "One?", "Aye.", replace(SESSION, personality="Pirate"))
    await answered(talk, "Two?", "Aye.")
    assert prompt(talk)[0] == ("user", "One?")


async def test_a_forgotten_session_begins_anew(talk: Talk) -> None:
    await answered(talk, "My secret is 42.", "Aye.")
    generation = await asked(talk, "Two?")
    led = await talk.generation()
    assert await talk.service.forget(SESSION) == 2
    assert led.is_cancelled
    end = await end_of(generation)
    assert end.reason is FinishReason.CANCELLED
    assert end.detail == "The session was forgotten while this was under way."
    assert (str(SESSION.place), "http:local") in talk.generator.forgotten
    await answered(talk, "What is it?", "What?")
    assert prompt(talk) == [("user", "What is it?")]
    assert await talk.service.forget(replace(SESSION, key="urn:uuid:9")) == 0


async def test_turns_are_counted(talk: Talk) -> None:
    await answered(talk, "One?", "Aye.")
    assert 'parley_turns_total{adapter="http",state="done"} 1.0' in talk.metrics.expose().decode()


# The process


async def test_what_a_killed_process_left_is_interrupted_and_posted_nowhere(
    tmp_path: Path,
) -> None:
    clock = TalkClock()
    store = await open_test_store(tmp_path, clock)
    first = await make(tmp_path, store, clock=clock)
    await first.service.start()
    await asked(first, "One?")
    await asked(first, "Two?")
    await first.generation()
    second = await make(tmp_path, store, clock=clock)
    await second.service.start()
    await second.quiet()
    assert await states(second) == [TurnState.INTERRUPTED] * 2
    assert second.generator.generations == []
    assert second.platform.messages == {}
    await answered(second, "Three?", "Aye.")
    assert prompt(second) == [("user", "Three?")]
    for talk in (first, second):
        await talk.close()
    await store.close()


async def test_a_reply_under_way_ends_in_peace_when_parley_stops(talk: Talk) -> None:
    generation = await asked(talk, "One?")
    led = await talk.generation()
    draining = asyncio.create_task(talk.service.drain(15.0, asyncio.Event()))
    await asyncio.sleep(0)
    with pytest.raises(EngineFailed, match="is stopping"):
        await asked(talk, "Two?")
    led.say("Aye.")
    led.finish()
    await talk.until(draining.done)
    assert await read(generation) == "Aye."


async def test_a_reply_that_takes_too_long_to_end_is_cut_off(talk: Talk) -> None:
    generation = await asked(talk, "One?")
    led: ScriptedGeneration = await talk.generation()
    draining = asyncio.create_task(talk.service.drain(1.0, asyncio.Event()))
    await talk.until(draining.done)
    assert led.is_cancelled
    assert await events(generation) == [Finished(FinishReason.CANCELLED)]
    assert await states(talk) == [TurnState.QUEUED]
