"""What the usage log knows of an answer, on a chat platform and of a program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot import usage as usage_module
from bot.errors import PromptTooLong, StorageError, StorageFull, UnknownAnswer
from bot.generation import (
    ChatMessage,
    CompletionRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Queued,
    Reasoning,
    ToolCallDelta,
    Usage,
)
from bot.history import usage as stored
from bot.metrics import Metrics
from bot.ports import Generation
from bot.stored import AnswerUsage, TurnState
from bot.types import Feedback
from bot.usage import AnswerTimes, UsageLog
from tests.bot.talk import ADA, Talk, locked, place, talking
from tests.fakes.clock import START, FakeClock
from tests.fakes.generator import ScriptedGeneration

HELLO = CompletionRequest(
    account="ci",
    messages=(ChatMessage("user", "Hello?"),),
    route="/v1/chat/completions",
    answer_id="chatcmpl-1",
)
ROW = AnswerUsage(
    answer_id="a", asked_at=START, person="http:ci", platform="http", state=TurnState.DONE
)
COUNTED = Usage(9, 4, 2)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as talk:
        yield talk


async def log(talk: Talk, folder: Path) -> list[AnswerUsage]:
    await talk.clock.advance(1)
    return await asyncio.to_thread(lambda: list(stored.read(folder / "parley.db", None)))


async def finish(
    talk: Talk, generation: ScriptedGeneration, reason: FinishReason = FinishReason.STOP
) -> None:
    """Two seconds in the queue, one until the first token, three for the rest."""
    await talk.clock.advance(3)
    generation.say("Hello ")
    await talk.clock.advance(3)
    generation.say("there.")
    generation.end(Finished(reason, COUNTED, queue_seconds=2.0))


async def read(generation: Generation) -> None:
    async for _ in generation:
        pass


async def test_a_turn_leaves_a_row_without_its_text(talk: Talk, tmp_path: Path) -> None:
    question = await talk.ask("A secret?")
    await finish(talk, await talk.generator.started())
    await talk.ended(question)
    (row,) = await log(talk, tmp_path)
    assert row.total_seconds is not None
    assert 6.0 <= row.total_seconds < 8.0
    assert row == AnswerUsage(
        answer_id=row.answer_id,
        asked_at=START,
        person=ADA.id,
        platform="fake",
        place=str(place()),
        personality="assistant",
        model="scripted",
        state=TurnState.DONE,
        finish_reason=FinishReason.STOP,
        queue_seconds=2.0,
        first_token_seconds=3.0,
        total_seconds=row.total_seconds,
        usage=COUNTED,
    )
    assert "secret" not in repr(row)


async def test_a_turn_that_is_answered_twice_leaves_two_rows(talk: Talk, tmp_path: Path) -> None:
    question = await talk.answered("What is the time?", "Noon.")
    await talk.clock.advance(3600)
    talk.generator.replies.append("One.")
    await talk.edit(question, "What is the time now?")
    await talk.until(lambda: talk.visible()[-1] == "One.")
    first, second = await log(talk, tmp_path)
    assert first.answer_id == second.answer_id
    assert (second.asked_at - first.asked_at).total_seconds() >= 3600
    assert second.total_seconds is not None
    assert second.total_seconds < 60


async def test_a_turn_that_begins_again_counts_from_then(talk: Talk, tmp_path: Path) -> None:
    question = await talk.ask("What is the time?")
    (await talk.generator.started()).say("No")
    await talk.clock.advance(60)
    await talk.edit(question, "What is the time now?")
    talk.generator.replies.append("One.")
    await talk.until(lambda: talk.visible() == ["One."])
    await talk.ended(question)
    (row,) = await log(talk, tmp_path)
    assert (row.asked_at - START).total_seconds() >= 60
    assert row.total_seconds is not None
    assert row.total_seconds < 60


async def test_a_turn_that_is_stopped_in_the_queue_leaves_a_row(talk: Talk, tmp_path: Path) -> None:
    question = await talk.ask("Why?")
    await talk.generator.started()
    await talk.react(question.message_id, "octagonal_sign")
    await talk.ended(question)
    (row,) = await log(talk, tmp_path)
    assert (row.state, row.queue_seconds) == (TurnState.STOPPED, None)


async def test_a_program_leaves_a_row_under_its_key_and_user(talk: Talk, tmp_path: Path) -> None:
    asked = replace(HELLO, user="ann", personality="pirate")
    reading = asyncio.create_task(read(await talk.service.complete(asked)))
    await finish(talk, await talk.generator.started(), FinishReason.LENGTH)
    await reading
    (row,) = await log(talk, tmp_path)
    assert row == AnswerUsage(
        answer_id="chatcmpl-1",
        asked_at=START,
        person="http:ci/ann",
        platform="/v1/chat/completions",
        personality="pirate",
        model="scripted",
        state=TurnState.DONE,
        finish_reason=FinishReason.LENGTH,
        queue_seconds=2.0,
        first_token_seconds=3.0,
        total_seconds=6.0,
        usage=COUNTED,
    )


async def test_no_answer_waits_for_the_log(tmp_path: Path) -> None:
    async with talking(tmp_path, busy_timeout=0.05) as talk:
        talk.generator.replies += ["One.", "Two."]
        with locked(tmp_path):
            await read(await talk.service.complete(HELLO))
            await talk.clock.advance(5)
            await read(await talk.service.complete(HELLO))
        await talk.clock.advance(20)
        assert len(await log(talk, tmp_path)) == 2


async def test_a_program_without_a_user_is_its_key(talk: Talk, tmp_path: Path) -> None:
    talk.generator.replies += ["Hi.", "Hi."]
    await read(await talk.service.complete(HELLO))
    await read(await talk.service.complete(replace(HELLO, account="local")))
    assert [row.person for row in await log(talk, tmp_path)] == ["http:ci", "http:local"]


async def test_a_program_that_hangs_up_leaves_a_row_with_what_was_computed(
    talk: Talk, tmp_path: Path
) -> None:
    generation = await talk.service.complete(HELLO)
    (await talk.generator.started()).say("Once upon a time")
    generation.cancel()
    (row,) = await log(talk, tmp_path)
    assert (row.state, row.finish_reason) == (TurnState.STOPPED, FinishReason.CANCELLED)
    assert row.usage.completion_tokens == 4


async def test_several_answers_to_one_request_are_one_row(talk: Talk, tmp_path: Path) -> None:
    talk.generator.replies += ["One two.", "Three four five."]
    for generation in await talk.service.complete_all(HELLO, 2):
        await read(generation)
    (row,) = await log(talk, tmp_path)
    assert (row.usage.prompt_tokens, row.usage.completion_tokens) == (5, 5)


async def test_a_request_that_is_refused_is_no_answer(talk: Talk, tmp_path: Path) -> None:
    long = replace(HELLO, messages=(ChatMessage("user", "word " * 5000),))
    with pytest.raises(PromptTooLong):
        await talk.service.complete(long)
    assert await log(talk, tmp_path) == []


async def test_a_vote_at_once_finds_its_answer(talk: Talk, tmp_path: Path) -> None:
    talk.generator.replies.append("Hi.")
    await read(await talk.service.complete(HELLO))
    await talk.service.vote("ci", "chatcmpl-1", -1)
    assert [row.rating for row in await log(talk, tmp_path)] == [-1]


async def test_a_judgement_on_a_platform_stands_with_its_answer(talk: Talk, tmp_path: Path) -> None:
    await talk.answered("How are you?", "Fine.")
    (message_id,) = talk.platform.messages
    await talk.service.handle(
        Feedback(event_id="f", place=place(), person=ADA, message_id=message_id, rating=1)
    )
    assert [row.rating for row in await log(talk, tmp_path)] == [1]


async def test_a_vote_of_another_key_finds_none(talk: Talk) -> None:
    talk.generator.replies.append("Hi.")
    await read(await talk.service.complete(HELLO))
    with pytest.raises(UnknownAnswer, match="no answer 'chatcmpl-1' that was given to this key"):
        await talk.service.vote("ops", "chatcmpl-1", 1)


async def test_what_was_answered_last_is_on_disk_once_parley_has_closed(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        talk.generator.replies.append("Hi.")
        await read(await talk.service.complete(HELLO))
        await talk.service.complete(HELLO)
    reasons = [row.finish_reason for row in await log(talk, tmp_path)]
    assert reasons == [FinishReason.STOP, FinishReason.CANCELLED]


class FlakyStore:
    """Takes rows once its disk is not full."""

    def __init__(self) -> None:
        self.is_full = False
        self.batches: list[list[AnswerUsage]] = []

    async def add_usage(self, rows: Sequence[AnswerUsage]) -> None:
        await asyncio.sleep(0)
        if self.is_full:
            raise StorageFull("The disk is full.")
        self.batches.append(list(rows))

    async def vote(self, answer_id: str, account: str, rating: int) -> bool:
        raise NotImplementedError


def numbered(num: int) -> list[AnswerUsage]:
    return [replace(ROW, answer_id=str(number)) for number in range(num)]


async def test_rows_are_written_together_half_a_second_later() -> None:
    store, clock = FlakyStore(), FakeClock()
    log = UsageLog(store, clock, Metrics())
    rows = numbered(3)
    for row in rows:
        log.note(row)
    await clock.advance(0.4)
    assert store.batches == []
    await clock.advance(0.1)
    assert store.batches == [rows]


async def test_rows_wait_for_a_full_disk_in_their_order() -> None:
    store, clock = FlakyStore(), FakeClock()
    log = UsageLog(store, clock, Metrics())
    store.is_full = True
    for row in numbered(2):
        log.note(row)
    await clock.advance(5)
    store.is_full = False
    log.note(replace(ROW, answer_id="2"))
    await clock.advance(10)
    assert [row.answer_id for batch in store.batches for row in batch] == ["0", "1", "2"]


async def test_more_than_memory_holds_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage_module, "MAX_WAITING", 5)
    store, clock, metrics = FlakyStore(), FakeClock(), Metrics()
    log = UsageLog(store, clock, metrics)
    for row in numbered(7):
        log.note(row)
    await log.close()
    assert [row.answer_id for batch in store.batches for row in batch] == [*"01234"]
    assert metrics.registry.get_sample_value("parley_usage_lost_total") == 2


async def test_a_disk_that_stays_full_keeps_nobody_from_stopping() -> None:
    store, clock = FlakyStore(), FakeClock()
    log = UsageLog(store, clock, Metrics())
    store.is_full = True
    log.note(ROW)
    await log.close()
    with pytest.raises(StorageError):
        await log.vote("http:ci", "a", 1)


@pytest.mark.parametrize(
    ("heard", "first_token"),
    [
        ((Queued(1), Delta("Hi"), Delta("!")), 2.0),
        ((Reasoning("Hm"), Delta("Hi")), 1.0),
        ((ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ": 1}")), 1.0),
        ((Finished(FinishReason.LENGTH, COUNTED), Delta("Hi")), 1.0),
        ((Queued(1), Finished(FinishReason.CANCELLED)), None),
    ],
)
async def test_the_first_token_counts_whatever_it_is_a_part_of(
    heard: Sequence[GenerationEvent], first_token: float | None
) -> None:
    """A second before each; what is written in one step may be read after its end is heard."""
    clock = FakeClock()
    times = AnswerTimes(clock)
    for event in heard:
        await clock.advance(1)
        times.hear(event)
    assert times.first_token_seconds == first_token


async def test_a_turn_is_one_line_in_the_log_without_text_or_name(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        question = await talk.ask("A secret?")
        await finish(talk, await talk.generator.started())
        turn = await talk.ended(question)
    (record,) = (each for each in caplog.records if each.name == "bot.turns")
    line = record.getMessage()
    assert line.startswith(f"turn {turn.id} fake done stop scripted assistant: queue 2.00 s, ")
    assert line.endswith("; tokens: prompt 9, cached 4, completion 2")
    assert vars(record).items() >= {"platform": "fake", "completion_tokens": 2}.items()
    everything = " ".join(map(str, [*vars(record).values(), *caplog.messages]))
    assert not any(each in everything for each in ("secret", "Hello", "there", ADA.name, ADA.id))


async def test_an_answer_for_a_program_is_one_line_in_the_log(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        generation = await talk.service.complete(replace(HELLO, user="ada"))
        reading = asyncio.create_task(read(generation))
        await finish(talk, await talk.generator.started(), FinishReason.LENGTH)
        await reading
    (line,) = (each.getMessage() for each in caplog.records if each.name == "bot.turns")
    assert line.startswith("turn chatcmpl-1 /v1/chat/completions done length scripted: queue ")
    assert "ada" not in line
