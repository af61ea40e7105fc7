"""InferenceService over a strict fake model; ``stepwise`` stops it between two steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bot.answer_formats import AnswerFormat, JsonObject, OneOf
from bot.errors import (
    EngineFailed,
    PromptTooLong,
    QueueFull,
    UnsupportedFormat,
    UnsupportedSampling,
)
from bot.generation import (
    ChatMessage,
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    Queued,
    RawPrompt,
    Reasoning,
    Sampling,
    TokenLogprob,
)
from bot.inference.core.lanes import equal_lanes
from bot.inference.core.model import NoRoom
from bot.inference.core.sequence import Forced, Opening, Step
from bot.inference.engine.service import InferenceService
from bot.inference.output.text import TAGS
from bot.inference.scheduling.scheduler import Scheduler
from bot.metrics import Metrics
from bot.stream import GenerationStream
from tests.bot.inference.streams import read, until
from tests.fakes.model import LOST, FakeModel, broken_step


@asynccontextmanager
async def engine(
    model: FakeModel,
    metrics: Metrics | None = None,
    *,
    running: int = 4,
    waiting: int = 50,
    thread: ThreadPoolExecutor | None = None,
) -> AsyncIterator[InferenceService]:
    service = InferenceService(
        model, metrics or Metrics(), max_running=running, max_waiting=waiting, thread=thread
    )
    async with service:
        try:
            yield service
        finally:
            model.allow(10_000)


def request(
    text: str = "hi", *, person: str = "ada", limit: int = 100, stop: tuple[str, ...] = ()
) -> GenerationRequest:
    message = ChatMessage("user", text)
    return GenerationRequest(messages=(message,), person=person, max_tokens=limit, stop=stop)


async def test_a_question_is_answered_and_its_tokens_are_counted() -> None:
    async with engine(FakeModel(lambda prompt: prompt.upper())) as service:
        text, finished = await read(await service.generate(request("hello")))
    assert text == "HELLO"
    assert finished.reason is FinishReason.STOP
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (6, 5)


async def test_a_reply_that_continues_an_answer_keeps_the_space_before_its_first_word() -> None:
    begun = ChatMessage("assistant", "It is", is_open=True)
    asked = replace(request(), messages=(*request().messages, begun))
    assert asked.continues
    async with engine(FakeModel(lambda _: " blue.", open_tag=TAGS[0])) as service:
        text, _ = await read(await service.generate(asked))
    assert text == " blue."


@pytest.mark.parametrize("answer_format", [JsonObject(), OneOf(("yes", "no"))])
async def test_an_answer_in_a_format_is_no_reasoning_though_the_template_begins_with_some(
    answer_format: AnswerFormat,
) -> None:
    asked = replace(request(), answer_format=answer_format)
    begun = ChatMessage("assistant", "<think>Hm", is_open=True)
    continued = replace(asked, messages=(*asked.messages, begun))
    async with engine(FakeModel(lambda _: '{"a": 1}', open_tag=TAGS[0])) as service:
        for each in (asked, continued):
            text, finished = await read(await service.generate(each))
            assert text == '{"a": 1}'
            assert finished.usage.reasoning_tokens == 0


RAW = GenerationRequest(raw=RawPrompt("Once"), person="ada", max_tokens=100)


async def test_a_raw_prompt_is_answered_in_its_own_text_and_nothing_of_that_is_changed() -> None:
    model = FakeModel(lambda prompt: f" {prompt}\r\x0b<think>\n", open_tag=TAGS[0])
    async with engine(model) as service:
        text, finished = await read(await service.generate(RAW))
        filled, _ = await read(await service.generate(replace(RAW, raw=RawPrompt("a", suffix="b"))))
    assert text == " Once\r\x0b<think>\n"
    assert finished.usage.prompt_tokens == 5
    assert filled == " a|b\r\x0b<think>\n"


async def test_without_tokens_to_generate_a_raw_prompt_is_only_read() -> None:
    async with engine(FakeModel(lambda _: "more")) as service:
        text, finished = await read(await service.generate(replace(RAW, max_tokens=0)))
    assert text == ""
    assert finished.reason is FinishReason.LENGTH
    assert finished.usage.completion_tokens == 0


async def test_a_raw_prompt_goes_on_in_the_cells_of_its_thread() -> None:
    told = RawPrompt("It was a dark and stormy night, and nobody was out.")
    metrics = Metrics()
    async with engine(FakeModel(lambda _: "ok"), metrics) as service:
        asked = replace(RAW, raw=told, thread="t")
        await read(await service.generate(asked))
        more = RawPrompt(f"{told.content} But then")
        _, finished = await read(await service.generate(replace(asked, raw=more)))
    assert finished.usage.cached_tokens == len(str(told.content))


async def test_a_raw_prompt_that_is_too_long_is_refused() -> None:
    async with engine(FakeModel(window=20)) as service:
        with pytest.raises(PromptTooLong):
            await service.generate(replace(RAW, raw=RawPrompt("x" * 30)))


async def test_tokens_and_their_texts_are_shown() -> None:
    async with engine(FakeModel()) as service:
        tokens = await service.tokenize(RawPrompt("h\u00e9", adds_special=False))
        assert tokens == [104, 233]
        assert await service.texts(tokens) == [b"h", "\u00e9".encode()]
        assert await service.detokenize(tokens) == "h\u00e9"
        assert await service.count(request("hello").messages) == 6


async def test_a_bias_for_a_token_that_the_model_does_not_have_is_refused() -> None:
    biased = replace(request(), sampling=Sampling(logit_bias=((5, 1.0), (0x110000, 1.0))))
    async with engine(FakeModel()) as service:
        with pytest.raises(UnsupportedSampling, match="names token 1114112; the model's last is"):
            await service.generate(replace(biased, asked_sampling=frozenset({"logit_bias"})))
        await read(await service.generate(biased))  # a personality's may be for another model


async def logprobs_of(service: InferenceService, asked: GenerationRequest) -> list[TokenLogprob]:
    stream = await service.generate(asked)
    return [each async for event in stream if isinstance(event, Delta) for each in event.logprobs]


async def test_probabilities_come_with_the_text_of_their_tokens() -> None:
    async with engine(FakeModel(lambda _: "h\u00e9!")) as service:
        plain = await logprobs_of(service, request())
        found = await logprobs_of(service, replace(request(), num_logprobs=2))
        bare = await logprobs_of(service, replace(request(), num_logprobs=0))
    assert plain == []
    assert [(each.piece, each.logprob) for each in found] == [
        (b"h", 0),
        (b"\xe9", -0.5),
        (b"!", -1),
    ]
    assert all(each.likeliest == (TokenLogprob(b"a", 0), TokenLogprob(b"b", -1)) for each in found)
    assert [each.likeliest for each in bare] == [(), (), ()]


async def test_only_the_answers_tokens_have_probabilities() -> None:
    script = "<think>hm</think>Yes.ENDmore"
    async with engine(FakeModel(lambda _: script)) as service:
        asked = replace(request(stop=("END",)), num_logprobs=0)
        found = await logprobs_of(service, asked)
    assert b"".join(each.piece for each in found) == b"Yes."


async def test_a_preempted_reply_keeps_the_probabilities_of_what_it_has_said() -> None:
    model = FakeModel(lambda _: " ".join(map(str, range(90)))[:150], num_cells=256)
    async with engine(model) as service:
        asked = [replace(request(c * 40, person=c, limit=150), num_logprobs=0) for c in "abc"]
        found = await asyncio.gather(*(logprobs_of(service, each) for each in asked))
    assert sum(isinstance(a, Opening) for step in model.steps for a in step.actions) > 3
    assert [[each.logprob for each in reply] for reply in found] == [
        [-n / 2 for n in range(150)]
    ] * 3


@pytest.mark.parametrize("system", ["", "Be kind to everybody who asks. " * 4])
async def test_answers_to_one_prompt_share_what_is_evaluated_of_it(system: str) -> None:
    model = FakeModel(lambda _: "ok")
    messages = (ChatMessage("system", system), ChatMessage("user", "How are you? " * 10))
    asked = replace(request(), messages=messages if system else messages[1:], shares_prompt=True)
    async with engine(model) as service:
        streams = [await service.generate(asked) for _ in range(4)]
        replies = await asyncio.gather(*map(read, streams))
    num_tokens = len(system) + 130 + 1
    assert {text for text, _ in replies} == {"ok"}
    assert sorted(finished.usage.cached_tokens for _, finished in replies) == [0] + 3 * [
        num_tokens - 1
    ]
    evaluated = sum(len(chunk.tokens) for step in model.steps for chunk in step.chunks)
    assert evaluated == num_tokens + 3 + 4 * 2


async def test_everybody_who_asks_at_once_is_served_in_the_same_steps() -> None:
    model = FakeModel(lambda prompt: prompt * 5, stepwise=True)
    async with engine(model) as service:
        streams = [await service.generate(request(f"q{n}", person=f"p{n}")) for n in range(4)]
        model.allow(100)
        replies = await asyncio.gather(*map(read, streams))
    assert [text for text, _ in replies] == [f"q{n}" * 5 for n in range(4)]
    assert max(step.num_decode for step in model.steps) == 4


async def test_replies_that_have_only_begun_wait_while_many_prompts_are_prefilled() -> None:
    metrics, model = Metrics(), FakeModel(lambda _: "x" * 20, stepwise=True)
    async with engine(model, metrics) as service:
        streams = [await service.generate(request(letter * 40)) for letter in "abcd"]
        model.allow(1_000)
        assert {text for text, _ in await asyncio.gather(*map(read, streams))} == {"x" * 20}
    assert (metrics.registry.get_sample_value("parley_held_steps_total") or 0) > 0


async def test_a_step_that_arranges_lanes_says_nothing_of_what_a_prompt_costs() -> None:
    model = FakeModel(lanes=equal_lanes(4_096, 4), window=4_096, num_cells=4_096, max_batch=3_000)
    async with engine(model) as service:
        await read(await service.generate(request("x" * 2_500)))
        assert [step.moves for step in model.steps if step.num_prefill > 2_000] == [True]
        assert not service._prefill.costs.is_known
        await read(await service.generate(request("y" * 500)))
        assert service._prefill.costs.is_known


async def test_a_queued_request_gets_its_place_and_an_estimate_as_it_moves() -> None:
    model = FakeModel(stepwise=True)
    async with engine(model, running=1) as service:
        first = await service.generate(request(person="a"))
        await until(lambda: service.num_running == 1)
        await service.generate(request(person="b"))
        last = await service.generate(request(person="c"))
        queued = await anext(last)
        assert isinstance(queued, Queued)
        assert queued.place == 2
        assert queued.wait is not None
        assert queued.wait > 0
        model.allow(5)
        await read(first)
        moved = await anext(last)
        assert isinstance(moved, Queued)
        assert moved.place == 1
        model.allow(50)
        assert await anext(last) == Queued(0), "it is begun with"


async def test_the_end_says_how_long_the_request_was_queued() -> None:
    model = FakeModel(stepwise=True)
    async with engine(model, running=1) as service:
        streams = [await service.generate(request(person=person)) for person in "abc"]
        await until(lambda: service.num_running == 1)
        began_to_wait = time.monotonic()
        streams[2].cancel()
        waited = time.monotonic() - began_to_wait
        model.allow(100)
        first, second, cancelled = [(await read(stream))[1] for stream in streams]
    assert first.queue_seconds is not None
    assert second.queue_seconds is not None
    assert first.queue_seconds >= 0
    assert second.queue_seconds > waited
    assert cancelled.queue_seconds is None


async def test_the_queue_is_bounded_and_says_when_to_come_back() -> None:
    model = FakeModel(stepwise=True)
    async with engine(model, running=1, waiting=2) as service:
        await service.generate(request(person="a"))
        await until(lambda: service.num_running == 1)
        await service.generate(request(person="b"))
        await service.generate(request(person="c"))
        with pytest.raises(QueueFull) as refusal:
            await service.generate(request(person="d"))
        assert refusal.value.retry_after > 0


async def test_a_question_longer_than_the_window_is_refused_with_both_numbers() -> None:
    async with engine(FakeModel(window=10)) as service:
        with pytest.raises(PromptTooLong) as refusal:
            await service.generate(request("x" * 10))
    assert (refusal.value.num_tokens, refusal.value.max_tokens) == (11, 9)


async def test_a_reply_never_outgrows_its_cap_nor_the_window() -> None:
    async with engine(FakeModel(lambda _p: "y" * 500, window=20)) as service:
        capped, finished = await read(await service.generate(request("abc", limit=7)))
        assert (capped, finished.reason) == ("y" * 7, FinishReason.LENGTH)
        full, finished = await read(await service.generate(request("abc", limit=400)))
        assert (full, finished.reason) == ("y" * 16, FinishReason.LENGTH)


async def test_a_stop_string_ends_the_reply_before_it() -> None:
    async with engine(FakeModel(lambda _p: "One. STOP two")) as service:
        text, finished = await read(await service.generate(request(stop=("STOP",))))
    assert (text, finished.reason) == ("One. ", FinishReason.STOP)


async def test_cancelling_in_the_queue_gives_up_the_place_at_once() -> None:
    metrics, model = Metrics(), FakeModel(stepwise=True)
    async with engine(model, metrics, running=1) as service:
        await service.generate(request(person="a"))
        await until(lambda: service.num_running == 1)
        waiting = await service.generate(request(person="b"))
        waiting.cancel()
        text, finished = await read(waiting)
        assert (text, finished.reason) == ("", FinishReason.CANCELLED)
        assert service.num_waiting == 0
    assert metrics.registry.get_sample_value("parley_cancelled_total") == 1


@pytest.mark.parametrize(("prompt", "steps"), [("x" * 60, 1), ("x", 3)])
async def test_cancelling_during_prefill_or_decode_frees_the_cells_in_the_next_step(
    prompt: str, steps: int
) -> None:
    model = FakeModel(lambda _p: "y" * 90, stepwise=True, max_batch=12)
    async with engine(model) as service:
        stream = await service.generate(request(prompt))
        model.allow(steps)
        await until(lambda: len(model.steps) == steps)
        stream.cancel()
        _, finished = await read(stream)
        assert finished.reason is FinishReason.CANCELLED
        assert model.num_used > 0
        model.allow(2)  # the step that was under way, and the next
        await until(lambda: model.num_used == 0)
        assert len(model.steps) <= steps + 2


async def test_cancelling_twice_or_after_the_end_is_harmless() -> None:
    metrics = Metrics()
    async with engine(FakeModel(), metrics) as service:
        stream = await service.generate(request())
        await read(stream)
        stream.cancel()
        assert metrics.registry.get_sample_value("parley_cancelled_total") == 0


async def test_without_room_in_the_pool_a_reply_waits_and_gets_no_error() -> None:
    model = FakeModel(lambda _p: "fine")
    model.failures = [NoRoom(), NoRoom()]
    async with engine(model) as service:
        text, finished = await read(await service.generate(request("some prompt")))
    assert (text, finished.reason) == ("fine", FinishReason.STOP)
    assert model.num_resets == 0


async def test_replies_that_outgrow_the_pool_together_all_come_to_their_end() -> None:
    metrics, model = Metrics(), FakeModel(lambda _p: "y" * 60, num_cells=130, window=130)
    async with engine(model, metrics) as service:
        streams = [await service.generate(request("abc", person=f"p{n}")) for n in range(4)]
        replies = await asyncio.gather(*map(read, streams))
    assert [text for text, _ in replies] == ["y" * 60] * 4
    assert (metrics.registry.get_sample_value("parley_preempted_total") or 0) > 0


async def test_a_reply_that_only_repeats_itself_is_ended_and_its_repeated_end_is_counted() -> None:
    metrics = Metrics()
    model = FakeModel(lambda _p: "Well. " + "I am fine. " * 80)
    async with engine(model, metrics) as service:
        text, finished = await read(await service.generate(request(limit=900)))
    assert finished.reason is FinishReason.LOOPED
    assert len(text) < 200
    assert text[: -finished.num_repeated] == "Well. I am fine"
    assert metrics.registry.get_sample_value("parley_looped_total") == 1


async def test_a_repeated_end_is_counted_in_whole_characters() -> None:
    """The repetition begins at the last byte of the first character."""
    bytewise = ("ĩ" + "é" * 200).encode().decode("latin-1")
    async with engine(FakeModel(lambda _p: bytewise)) as service:
        text, finished = await read(await service.generate(request(limit=900)))
    assert text[: -finished.num_repeated] == "ĩé"


async def test_a_loop_is_found_across_a_preemption() -> None:
    model = FakeModel(lambda _p: "I am fine. " * 20, num_cells=160, window=150)
    metrics = Metrics()
    async with engine(model, metrics) as service:
        streams = [
            await service.generate(request("abc", person=f"p{n}", limit=140)) for n in range(3)
        ]
        replies = await asyncio.gather(*map(read, streams))
    assert {finished.reason for _, finished in replies} == {FinishReason.LOOPED}
    assert (metrics.registry.get_sample_value("parley_preempted_total") or 0) > 0


@pytest.mark.parametrize(("of_service", "of_request"), [(False, True), (True, False)])
async def test_the_loop_guard_can_be_off_for_all_or_for_one(
    of_service: bool, of_request: bool
) -> None:
    metrics = Metrics()
    service = InferenceService(
        FakeModel(lambda _p: "ha" * 200),
        metrics,
        max_running=1,
        max_waiting=1,
        loop_guard=of_service,
    )
    async with service:
        asked = replace(request(limit=900), loop_guard=of_request)
        text, finished = await read(await service.generate(asked))
    assert (text, finished.reason) == ("ha" * 200, FinishReason.STOP)
    assert metrics.registry.get_sample_value("parley_looped_total") == 0


async def all_events(stream: GenerationStream) -> tuple[str, str, Finished]:
    """The reasoning, the answer and the last event."""
    events = [event async for event in stream]
    assert isinstance(events[-1], Finished)
    thoughts = "".join(event.text for event in events if isinstance(event, Reasoning))
    return thoughts, "".join(e.text for e in events if isinstance(e, Delta)), events[-1]


async def test_reasoning_is_not_part_of_the_answer() -> None:
    metrics = Metrics()
    model = FakeModel(lambda _p: "<think>Hm.</think>\n\nYes.")
    async with engine(model, metrics) as service:
        thoughts, text, finished = await all_events(await service.generate(request()))
    assert (thoughts, text) == ("Hm.", "Yes.")
    assert finished.usage.completion_tokens == 24
    assert finished.usage.reasoning_tokens == 18
    assert metrics.registry.get_sample_value("parley_reasoning_tokens_total") == 18


async def test_a_template_that_opens_the_tag_lets_the_reply_begin_inside() -> None:
    model = FakeModel(lambda _p: "Hm.</think>Yes.", open_tag=TAGS[0])
    async with engine(model) as service:
        thoughts, text, _ = await all_events(await service.generate(request()))
    assert (thoughts, text) == ("Hm.", "Yes.")


async def test_reasoning_that_reaches_the_cap_leaves_no_answer() -> None:
    async with engine(FakeModel(lambda _p: "<think>Hm, hm, well.</think>")) as service:
        thoughts, text, finished = await all_events(await service.generate(request(limit=12)))
    assert (thoughts, text, finished.reason) == ("Hm, h", "", FinishReason.LENGTH)


async def test_reasoning_in_a_loop_is_ended_and_takes_nothing_from_the_answer() -> None:
    async with engine(FakeModel(lambda _p: "<think>" + "Hm. " * 90)) as service:
        _, text, finished = await all_events(await service.generate(request(limit=900)))
    assert (text, finished.reason, finished.num_repeated) == ("", FinishReason.LOOPED, 0)


async def test_a_slow_reader_gets_reasoning_and_answer_in_one_piece_each() -> None:
    async with engine(FakeModel(lambda _p: "<think>Let me see.</think>Yes, it is.")) as service:
        stream = await service.generate(request())
        await until(lambda: stream.is_finished)
        events = [event async for event in stream]
    assert events[:-1] == [Reasoning("Let me see."), Delta("Yes, it is.")]


async def test_a_failed_step_ends_the_running_replies_with_a_sentence_and_no_others() -> None:
    metrics, model = Metrics(), FakeModel(lambda _p: "fine", stepwise=True)
    async with engine(model, metrics, running=1) as service:
        unlucky = await service.generate(request(person="a"))
        await until(lambda: service.num_running == 1)
        next_one = await service.generate(request(person="b"))
        model.failures = [broken_step()]
        model.allow(100)
        _, finished = await read(unlucky)
        assert finished.reason is FinishReason.ERROR
        assert "ask again" in finished.detail
        text, finished = await read(next_one)
        assert (text, finished.reason) == ("fine", FinishReason.STOP)
        assert service.is_healthy
    assert model.num_resets == 1
    assert metrics.registry.get_sample_value("parley_engine_restarts_total") == 1


def of_thread(text: str, thread: str = "t", person: str = "ada") -> GenerationRequest:
    return replace(request(text, person=person), thread=thread)


async def test_the_prefill_of_a_warmed_thread_starts_at_its_question() -> None:
    metrics, model = Metrics(), FakeModel(lambda _p: "fine")
    async with engine(model, metrics) as service:
        await service.warm(of_thread("x" * 50))
        _, asked = await read(await service.generate(of_thread("x" * 50 + "y")))
    assert asked.usage.cached_tokens == 50
    assert metrics.registry.get_sample_value("parley_warmed_total") == 1
    assert metrics.registry.get_sample_value("parley_first_token_seconds_count") == 1


async def test_a_question_ends_the_warming_of_its_thread_and_reuses_its_prefill() -> None:
    model = FakeModel(lambda _p: "fine", stepwise=True)
    async with engine(model) as service:
        reading = asyncio.create_task(service.warm(of_thread("x" * 500)))
        await until(lambda: service.num_running == 1)
        model.allow(2)
        await until(lambda: len(model.steps) == 2)
        stream = await service.generate(of_thread("x" * 500 + "y"))
        await reading
        model.allow(100)
        _, asked = await read(stream)
    assert 0 < asked.usage.cached_tokens < 500


async def test_an_answer_in_the_background_waits_for_people_and_ends_whole() -> None:
    model = FakeModel(lambda prompt: prompt.upper(), stepwise=True)
    async with engine(model, running=1) as service:
        background = await service.generate(
            replace(request("of nobody", person="batch"), is_background=True)
        )
        await until(lambda: service.num_running == 1)
        model.allow(3)
        await until(lambda: len(model.steps) == 3)
        asked = asyncio.create_task(read(await service.generate(request("of ada"))))
        reading = asyncio.create_task(read(background))
        while not asked.done():
            assert not reading.done()
            model.allow(1)
            await asyncio.sleep(0)
        model.allow(100)
        assert (await asked)[0] == "OF ADA"
        assert (await reading)[0] == "OF NOBODY"


async def test_a_question_ends_no_other_answer_in_the_background() -> None:
    async with engine(FakeModel(lambda prompt: prompt.upper())) as service:
        background = await service.generate(replace(request("first"), is_background=True))
        await read(await service.generate(request("second")))
        assert (await read(background))[0] == "FIRST"


async def test_warming_ends_when_its_caller_is_cancelled() -> None:
    model = FakeModel(stepwise=True)
    async with engine(model) as service:
        reading = asyncio.create_task(service.warm(of_thread("x" * 500)))
        await until(lambda: service.num_running == 1)
        reading.cancel()
        await until(lambda: service.num_running == 0)


async def test_the_second_turn_of_a_thread_evaluates_only_what_is_new() -> None:
    metrics, model = Metrics(), FakeModel(lambda _p: "fine")
    system = ChatMessage("system", "You are kind and brief, and you answer in one sentence.")
    hello = ChatMessage("user", "hello")

    def turn(*messages: ChatMessage, thread: str) -> GenerationRequest:
        return GenerationRequest(messages=(system, *messages), person="ada", thread=thread)

    async with engine(model, metrics) as service:
        await read(await service.generate(turn(hello, thread="1")))
        _, other = await read(await service.generate(turn(hello, thread="2")))
        _, again = await read(await service.generate(turn(hello, hello, thread="1")))
    assert other.usage.cached_tokens == len(system.content)
    assert again.usage.cached_tokens == len(system.content + hello.content)
    count = metrics.registry.get_sample_value
    assert (count("parley_prompt_tokens_total", {"source": "shared"}) or 0) > 100
    assert (count("parley_prompt_tokens_total", {"source": "resumed"}) or 0) > 0


async def test_three_failures_within_a_minute_are_reported() -> None:
    model = FakeModel()
    async with engine(model) as service:
        for _ in range(3):
            model.failures = [broken_step()]
            await read(await service.generate(request()))
        assert not service.is_healthy
        text, _ = await read(await service.generate(request()))
        assert text == "ok"


async def test_a_loop_that_keeps_failing_pauses_between_its_failures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = Metrics()

    def num_restarts() -> float:
        return metrics.registry.get_sample_value("parley_engine_restarts_total") or 0

    def broken(_: Scheduler) -> None:
        raise RuntimeError("a planning bug")

    async with engine(FakeModel(), metrics) as service:
        monkeypatch.setattr(Scheduler, "plan", broken)
        await service.generate(request())
        await until(lambda: num_restarts() == 3)
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert num_restarts() == 3
        assert not service.is_healthy


async def test_a_slow_reader_gets_the_missed_text_in_one_piece() -> None:
    async with engine(FakeModel(lambda _p: "a long reply")) as service:
        stream = await service.generate(request())
        await until(lambda: stream.is_finished)
        assert [event async for event in stream][:1] == [Delta("a long reply")]


async def test_text_that_comes_faster_than_anybody_reads_is_emitted_in_larger_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = SimpleNamespace(monotonic=lambda: 100.0, perf_counter=time.perf_counter)
    monkeypatch.setattr("bot.inference.engine.replies.time", stopped)
    model = FakeModel(lambda _: "Hello", stepwise=True)
    async with engine(model) as service:
        stream = await service.generate(request())
        reading = asyncio.create_task(_pieces(stream))
        for num_steps in range(1, 8):
            model.allow(1)
            await until(lambda done=num_steps: len(model.steps) >= done)  # type: ignore[misc]
        assert await reading == ["H", "ello"]


@pytest.mark.parametrize(("num_replies", "num_pieces"), [(1, 9), (16, 5)])
async def test_the_more_replies_run_the_larger_are_their_pieces(
    monkeypatch: pytest.MonkeyPatch, num_replies: int, num_pieces: int
) -> None:
    """A step takes 60 ms here; 16 replies together emit text 160 times a second."""
    now = 100.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("bot.inference.engine.replies.time", clock)
    model, metrics, num_steps = FakeModel(lambda _: "Hello you", stepwise=True), Metrics(), 0
    async with engine(model, metrics, running=16) as service:
        streams = [await service.generate(request()) for _ in range(num_replies)]
        reading = [asyncio.create_task(_pieces(stream)) for stream in streams]
        while not all(stream.is_finished for stream in streams):
            num_steps += 1
            now += 0.06
            model.allow(1)
            await until(lambda done=num_steps: num_published(metrics) == done)  # type: ignore[misc]
        assert max([len(await each) for each in reading]) == num_pieces


def num_published(metrics: Metrics) -> float:
    """Steps of which the loop has told."""
    return metrics.registry.get_sample_value("parley_step_seconds_count") or 0


async def _pieces(stream: GenerationStream) -> list[str]:
    return [event.text async for event in stream if isinstance(event, Delta)]


async def test_a_reply_that_cannot_continue_in_its_format_ends_with_a_sentence() -> None:
    async with engine(FakeModel(lambda _p: f"half{LOST}")) as service:
        text, finished = await read(await service.generate(request()))
    assert text == "half"
    assert finished.reason is FinishReason.ERROR
    assert finished.detail.startswith("The answer could not go on in the format asked for.")


class Forcing(FakeModel):
    """A model whose format leaves it no choice."""

    def run(self, step: Step) -> dict[int, list[int]]:
        return {slot: [*map(Forced, tokens)] for slot, tokens in super().run(step).items()}


async def test_a_reply_that_its_format_makes_repeat_itself_is_no_loop() -> None:
    reasons = []
    for model in (FakeModel(lambda _p: "ab " * 200), Forcing(lambda _p: "ab " * 200)):
        async with engine(model) as service:
            _, finished = await read(await service.generate(request(limit=800)))
        reasons.append(finished.reason)
    assert reasons == [FinishReason.LOOPED, FinishReason.STOP]


async def test_an_answer_in_a_format_is_passed_on_as_it_was_written() -> None:
    written = '"a\u2028b\x7f"'
    async with engine(FakeModel(lambda _p: written)) as service:
        asked = replace(request(), answer_format=OneOf(("a",)))
        text, _ = await read(await service.generate(asked))
    assert text == written


async def test_a_grammar_that_the_model_cannot_follow_is_refused() -> None:
    model = FakeModel(can_follow=False)
    async with engine(model) as service:
        with pytest.raises(UnsupportedFormat, match="cannot keep to this answer format"):
            await service.generate(replace(request(), answer_format=OneOf(("yes", "no"))))
    assert model.steps == []


async def test_closing_ends_every_stream_and_the_model() -> None:
    model = FakeModel(lambda _p: "y" * 500)
    async with engine(model) as service:
        stream = await service.generate(request(limit=500))
    _, finished = await read(stream)
    assert finished.reason in (FinishReason.CANCELLED, FinishReason.LENGTH)
    assert model.is_closed
    with pytest.raises(EngineFailed):
        await service.generate(request())


async def test_counting_gives_the_exact_number_of_prompt_tokens() -> None:
    async with engine(FakeModel()) as service:
        assert await service.count([ChatMessage("user", "hello")]) == 6  # and the answer's opening


async def test_the_tokens_of_a_reply_are_counted_while_it_grows() -> None:
    metrics, model = Metrics(), FakeModel(lambda _p: "ab" * 20, stepwise=True)

    def num_counted() -> float:
        return metrics.registry.get_sample_value("parley_completion_tokens_total") or 0

    async with engine(model, metrics) as service:
        stream = await service.generate(request())
        model.allow(10)
        await until(lambda: 0 < num_counted() < 40)
        model.allow(100)
        _, finished = await read(stream)
    assert num_counted() == finished.usage.completion_tokens
