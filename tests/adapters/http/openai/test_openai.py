"""What a program sees through the official client."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from typing import Any, cast

import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from bot.errors import (
    AccessDenied,
    EmptyQuestion,
    EngineFailed,
    OverLimit,
    ParleyError,
    PromptTooLong,
    QueueFull,
    UnknownPersonality,
    UnsupportedSampling,
)
from bot.generation import (
    BANNED,
    ChatMessage,
    CompletionRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    Queued,
    Reasoning,
    Sampling,
    TokenLogprob,
)
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.fakes.clock import FakeClock
from tests.fakes.conversations import USAGE, FakeConversations, ScriptedGeneration

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


async def stream_all(client: openai.AsyncOpenAI) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(model=MODEL, messages=HI, stream=True)
    return [chunk async for chunk in stream]


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def test_a_question_gets_its_whole_answer_with_usage(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations()))
    answer = await client.chat.completions.create(model=MODEL, messages=HI)
    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 9
    assert answer.usage.total_tokens == 11
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


async def test_a_streamed_answer_grows_and_says_its_role_once(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([Delta("Hel")])
    client = connect(await serve(conversations))
    stream = await client.chat.completions.create(model=MODEL, messages=HI, stream=True)
    first = await anext(stream)
    assert first.choices[0].delta.content == "Hel"
    (await conversations.begun()).say(Delta("lo"), Finished(FinishReason.STOP, USAGE))
    rest = [chunk async for chunk in stream]
    assert text_of([first, *rest]) == "Hello"
    assert [chunk.choices[0].delta.role for chunk in [first, *rest]] == ["assistant", None, None]
    assert rest[-1].choices[0].finish_reason == "stop"
    assert {chunk.id for chunk in rest} == {first.id}
    assert all(chunk.usage is None for chunk in rest)


THOUGHT: tuple[GenerationEvent, ...] = (Reasoning("They "), Reasoning("greet me."), Delta("Hello!"))


async def test_reasoning_comes_beside_the_answer_and_is_counted(
    serve: Serve, connect: Connect
) -> None:
    usage = replace(USAGE, reasoning_tokens=1)
    conversations = FakeConversations([*THOUGHT, Finished(FinishReason.STOP, usage)])
    client = connect(await serve(conversations))
    answer = await client.chat.completions.create(model=MODEL, messages=HI)
    message = answer.choices[0].message
    assert message.content == "Hello!"
    assert message.to_dict()["reasoning_content"] == "They greet me."
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 1


async def test_streamed_reasoning_comes_before_the_answer_in_chunks_of_its_own(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([*THOUGHT, Finished(FinishReason.STOP, USAGE)])
    chunks = await stream_all(connect(await serve(conversations)))
    deltas = [chunk.choices[0].delta.to_dict() for chunk in chunks]
    assert deltas == [
        {"role": "assistant", "reasoning_content": "They greet me."},
        {"content": "Hello!"},
        {},
    ]


async def test_reasoning_that_a_program_sends_back_stays_out_of_the_prompt(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    said: dict[str, Any] = {"role": "assistant", "content": "Hello!", "reasoning_content": "Hm."}
    messages = cast(list[ChatCompletionMessageParam], [*HI, said, *HI])
    await client.chat.completions.create(model=MODEL, messages=messages)
    (request,) = conversations.requests
    assert [message.content for message in request.messages] == ["Hi", "Hello!", "Hi"]


async def test_an_answer_without_reasoning_has_no_key_for_it(
    serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(FakeConversations()))
    answer = await client.chat.completions.create(model=MODEL, messages=HI)
    assert "reasoning_content" not in answer.choices[0].message.to_dict()


async def test_usage_comes_last_in_a_stream_that_asks_for_it(
    serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(FakeConversations()))
    stream = await client.chat.completions.create(
        model=MODEL, messages=HI, stream=True, stream_options={"include_usage": True}
    )
    *others, last = [chunk async for chunk in stream]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 2
    assert all(chunk.usage is None for chunk in others)


async def test_text_of_any_kind_arrives_as_it_was_said(serve: Serve, connect: Connect) -> None:
    said = '𝔘n¡ 🛑 "quoted" \\ \n data: [DONE]\n\n \u2028 \u0000'
    conversations = FakeConversations([Delta("a"), *map(Delta, said), Finished(FinishReason.STOP)])
    client = connect(await serve(conversations))
    assert text_of(await stream_all(client)) == f"a{said}"


async def test_what_was_said_at_once_comes_in_one_chunk(serve: Serve, connect: Connect) -> None:
    words = [Delta(f"{number} ") for number in range(100)]
    conversations = FakeConversations([*words, Finished(FinishReason.STOP)])
    chunks = await stream_all(connect(await serve(conversations)))
    assert len(chunks) == 2
    assert text_of(chunks).split() == [str(number) for number in range(100)]


async def test_an_empty_answer_is_still_an_answer(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations([Finished(FinishReason.STOP)])))
    whole = await client.chat.completions.create(model=MODEL, messages=HI)
    assert whole.choices[0].message.content == ""
    (chunk,) = await stream_all(client)
    assert chunk.choices[0].delta.role == "assistant"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FinishReason.STOP, "stop"),
        (FinishReason.LENGTH, "length"),
        (FinishReason.LOOPED, "length"),
    ],
)
async def test_the_end_of_the_text_is_explained(
    serve: Serve, connect: Connect, reason: FinishReason, told: str
) -> None:
    client = connect(await serve(FakeConversations([Delta("x"), Finished(reason)])))
    whole = await client.chat.completions.create(model=MODEL, messages=HI)
    assert whole.choices[0].finish_reason == told
    assert (await stream_all(client))[-1].choices[0].finish_reason == told


async def test_a_reply_that_parley_itself_breaks_off_is_no_finished_one(
    serve: Serve, connect: Connect
) -> None:
    broken_off: list[GenerationEvent] = [Delta("x"), Finished(FinishReason.CANCELLED)]
    client = connect(await serve(FakeConversations(broken_off)))
    with pytest.raises(openai.InternalServerError, match="Parley is stopping"):
        await client.chat.completions.create(model=MODEL, messages=HI)
    with pytest.raises(openai.APIError, match="Parley is stopping"):
        await stream_all(client)


async def test_everything_the_program_set_reaches_the_engine(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    await client.chat.completions.create(
        model="coder",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        user="ann",
        temperature=0.5,
        top_p=0.9,
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=-0.2,
        max_completion_tokens=33,
        stop=["END", "STOP"],
        extra_headers={"X-Parley-Thread": "review-1"},
        service_tier="flex",
        extra_body={"cache_salt": "of my workspace"},
    )
    (asked,) = conversations.requests
    assert asked.messages == (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "a"),
        ChatMessage("assistant", "b"),
        ChatMessage("user", "c"),
    )
    assert (asked.account, asked.user, asked.thread) == ("local", "ann", "review-1")
    assert asked.sampling == {
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "presence_penalty": -0.2,
        "seed": 7,
    }
    assert (asked.personality, asked.max_tokens) == ("coder", 33)
    assert asked.stop == ("END", "STOP")
    assert asked.cache_salt == "of my workspace"
    assert asked.is_background


SAMPLERS: dict[str, Any] = {
    "top_k": 7,
    "min_p": 0.1,
    "typical_p": 0.9,
    "xtc_probability": 0.5,
    "xtc_threshold": 0.2,
    "repeat_penalty": 1.1,
    "repeat_last_n": -1,
    "dry_multiplier": 0.8,
    "dry_base": 2.0,
    "dry_allowed_length": 3,
    "dry_penalty_last_n": 64,
    "mirostat": 2,
    "mirostat_tau": 4.0,
    "mirostat_eta": 0.2,
}


async def test_every_sampler_of_llama_cpp_can_be_asked_for(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    more = {"dry_sequence_breakers": ["\n", "#"], "logit_bias": {"15043": 100, "7": -1.5}}
    await client.chat.completions.create(model=MODEL, messages=HI, extra_body={**SAMPLERS, **more})
    (asked,) = conversations.requests
    biases = ((15043, 100.0), (7, -1.5))
    wanted = {**SAMPLERS, "dry_sequence_breakers": ("\n", "#"), "logit_bias": biases}
    assert asked.sampling == wanted
    assert {each.name for each in fields(Sampling)} - wanted.keys() == {
        *("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
    }


async def test_biases_can_be_written_as_llama_cpp_does(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    listed = [[15043, 1.0], ["Hello", -0.5], ["17", False]]
    await client.chat.completions.create(
        model=MODEL, messages=HI, extra_body={"logit_bias": listed}
    )
    (asked,) = conversations.requests
    assert asked.sampling["logit_bias"] == ((15043, 1.0), ("Hello", -0.5), (17, BANNED))


async def test_a_seed_of_minus_1_is_a_random_one(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    await client.chat.completions.create(model=MODEL, messages=HI, seed=-1)
    await client.chat.completions.create(model=MODEL, messages=HI, seed=-2)
    assert [asked.sampling["seed"] for asked in conversations.requests] == [None, 2**32 - 3]


LIKELY = (
    TokenLogprob(b"Hel", -0.25, (TokenLogprob(b"Hel", -0.25), TokenLogprob(b"Y", -2.0))),
    TokenLogprob(b"\xf0\x9f", -0.5),
    TokenLogprob(b"\x99\x82", -0.75),
)
PROBABLE: tuple[GenerationEvent, ...] = (
    Delta("Hel", LIKELY[:1]),
    Delta("\U0001f642", LIKELY[1:]),
    Finished(FinishReason.STOP, USAGE),
)


async def test_probabilities_of_tokens_have_openais_shape(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations(PROBABLE)
    client = connect(await serve(conversations))
    answer = await client.chat.completions.create(
        model=MODEL, messages=HI, logprobs=True, top_logprobs=2
    )
    assert conversations.requests[0].num_logprobs == 2
    assert answer.choices[0].logprobs is not None
    first, second, third = answer.choices[0].logprobs.content or []
    assert (first.token, first.logprob, first.bytes) == ("Hel", -0.25, list(b"Hel"))
    assert [(top.token, top.logprob) for top in first.top_logprobs] == [("Hel", -0.25), ("Y", -2.0)]
    assert second.bytes == [0xF0, 0x9F]
    assert bytes((second.bytes or []) + (third.bytes or [])).decode() == "\U0001f642"
    assert third.top_logprobs == []


async def test_probabilities_are_streamed_with_their_text(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations(PROBABLE)))
    stream = await client.chat.completions.create(
        model=MODEL, messages=HI, logprobs=True, top_logprobs=2, stream=True
    )
    tokens: list[int] = []
    async for chunk in stream:
        for choice in chunk.choices:
            for each in (choice.logprobs and choice.logprobs.content) or []:
                tokens += each.bytes or []
            assert bytes(tokens).decode().endswith(choice.delta.content or "")
    assert bytes(tokens).decode() == "Hel\U0001f642"


async def test_without_logprobs_none_are_taken(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    answer = await client.chat.completions.create(model=MODEL, messages=HI, logprobs=False)
    assert answer.choices[0].logprobs is None
    assert conversations.requests[0].num_logprobs is None


class ThreeAnswers(FakeConversations):
    async def complete_all(
        self, request: CompletionRequest, num_answers: int
    ) -> list[ScriptedGeneration]:
        self.num_answers = num_answers
        self.requests.append(request)
        ended = Finished(FinishReason.LENGTH, replace(USAGE, completion_tokens=3))
        return [
            ScriptedGeneration([Delta("One"), Finished(FinishReason.STOP, USAGE)]),
            ScriptedGeneration([Queued(1), Delta("Tw"), Delta("o"), ended]),
            ScriptedGeneration([Delta("Three"), Finished(FinishReason.STOP, USAGE)]),
        ]


async def test_several_answers_come_as_choices_and_their_tokens_are_added_up(
    serve: Serve, connect: Connect
) -> None:
    conversations = ThreeAnswers()
    client = connect(await serve(conversations))
    answer = await client.chat.completions.create(model=MODEL, messages=HI, n=3)
    assert conversations.num_answers == 3
    assert [choice.message.content for choice in answer.choices] == ["One", "Two", "Three"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.finish_reason for choice in answer.choices] == ["stop", "length", "stop"]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 7)


async def test_several_answers_are_streamed_with_their_index(
    serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(ThreeAnswers()))
    stream = await client.chat.completions.create(
        model=MODEL, messages=HI, n=3, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    of = [[each for each in choices if each.index == index] for index in range(3)]
    said = ["".join(each.delta.content or "" for each in answer) for answer in of]
    assert said == ["One", "Two", "Three"]
    assert [answer[0].delta.role for answer in of] == ["assistant"] * 3
    assert [answer[-1].finish_reason for answer in of] == ["stop", "length", "stop"]
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (9, 7)


async def test_a_program_that_hangs_up_stops_all_its_answers(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([Delta("Hel")])
    client = connect(await serve(conversations))
    stream = await client.chat.completions.create(model=MODEL, messages=HI, n=2, stream=True)
    await anext(stream)
    await stream.close()
    for generation in conversations.generations:
        await asyncio.wait_for(generation.cancelled.wait(), 5)
    assert len(conversations.generations) == 2


async def test_an_answer_of_several_that_fails_fails_the_request(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([Delta("Hel")])
    client = connect(await serve(conversations))
    asking = asyncio.create_task(client.chat.completions.create(model=MODEL, messages=HI, n=2))
    (await conversations.begun(2)).say(Finished(FinishReason.ERROR, detail="It broke."))
    (await conversations.begun(1)).say(Finished(FinishReason.STOP))
    with pytest.raises(openai.InternalServerError, match="It broke"):
        await asking


async def test_a_sampler_may_be_named_as_other_servers_do(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    body = {"repetition_penalty": 1.2, "mirostat_mode": 1, "random_seed": 3}
    await client.chat.completions.create(model=MODEL, messages=HI, extra_body=body)
    (asked,) = conversations.requests
    assert asked.sampling == {"repeat_penalty": 1.2, "mirostat": 1, "seed": 3}


async def test_a_sampler_that_the_engine_lacks_is_named(serve: Serve, connect: Connect) -> None:
    refusal = UnsupportedSampling("min_p", "is not supported by the model's server.")
    client = connect(await serve(FakeConversations(refusal=refusal)))
    with pytest.raises(openai.BadRequestError, match="min_p is not supported") as seen:
        await client.chat.completions.create(model=MODEL, messages=HI)
    assert (seen.value.code, seen.value.param) == ("unsupported_parameter", "min_p")


async def test_what_was_not_set_is_left_to_the_personality(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    await client.chat.completions.create(model=MODEL, messages=HI, stop="END", max_tokens=5)
    (asked,) = conversations.requests
    assert (asked.personality, asked.user, asked.thread, asked.sampling) == (None, None, None, {})
    assert (asked.stop, asked.max_tokens) == (("END",), 5)


async def test_the_model_and_each_personality_are_listed(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations()))
    models = await client.models.list()
    assert [model.id for model in models.data] == [MODEL, "assistant", "coder"]
    assert (await client.models.retrieve("coder")).owned_by == "parley"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-4o")


async def test_a_model_nobody_knows_is_named_with_those_that_are(
    serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(FakeConversations()))
    with pytest.raises(openai.NotFoundError, match=r"'gpt-4o'.*smollm2, assistant, coder") as seen:
        await client.chat.completions.create(model="gpt-4o", messages=HI)
    assert (seen.value.code, seen.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("refusal", "error", "code"),
    [
        (PromptTooLong(9000, 8192), openai.BadRequestError, "context_length_exceeded"),
        (EmptyQuestion("There is no question."), openai.BadRequestError, None),
        (QueueFull(2.4), openai.RateLimitError, "rate_limit_exceeded"),
        (OverLimit("Too fast.", 0.2), openai.RateLimitError, "rate_limit_exceeded"),
        (AccessDenied("Not you."), openai.PermissionDeniedError, "access_denied"),
        (UnknownPersonality("x", ("a",)), openai.NotFoundError, "model_not_found"),
        (EngineFailed("The engine failed."), openai.InternalServerError, "engine_failed"),
    ],
)
async def test_a_refusal_is_the_error_its_program_expects(
    serve: Serve,
    connect: Connect,
    refusal: ParleyError,
    error: type[openai.APIStatusError],
    code: str | None,
    stream: bool,
) -> None:
    client = connect(await serve(FakeConversations(refusal=refusal)))
    with pytest.raises(error) as seen:
        await client.chat.completions.create(model=MODEL, messages=HI, stream=stream)
    assert seen.value.code == code
    assert str(refusal) in str(seen.value)
    assert "Traceback" not in seen.value.response.text


@pytest.mark.parametrize(("wait", "told"), [(2.4, "3"), (0.0, "1"), (61.0, "61")])
async def test_a_program_that_must_wait_is_told_how_long(
    serve: Serve, connect: Connect, wait: float, told: str
) -> None:
    client = connect(await serve(FakeConversations(refusal=QueueFull(wait))))
    with pytest.raises(openai.RateLimitError) as seen:
        await client.chat.completions.create(model=MODEL, messages=HI)
    assert seen.value.response.headers["Retry-After"] == told


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_fails_before_it_speaks_is_an_error_status(
    serve: Serve, connect: Connect, stream: bool
) -> None:
    failed = Finished(FinishReason.ERROR, detail="The model was unloaded.")
    client = connect(await serve(FakeConversations([failed])))
    with pytest.raises(openai.InternalServerError, match="The model was unloaded") as seen:
        await client.chat.completions.create(model=MODEL, messages=HI, stream=stream)
    assert seen.value.status_code == 503


async def test_an_engine_that_fails_in_the_middle_is_an_error_after_the_text(
    serve: Serve, connect: Connect
) -> None:
    failed = Finished(FinishReason.ERROR, detail="The model was unloaded.")
    client = connect(await serve(FakeConversations([Delta("Half"), failed])))
    stream = await client.chat.completions.create(model=MODEL, messages=HI, stream=True)
    assert (await anext(stream)).choices[0].delta.content == "Half"
    with pytest.raises(openai.APIError, match="The model was unloaded"):
        await anext(stream)


async def test_a_place_in_line_keeps_the_stream_open_and_is_no_text(
    serve: Serve, connect: Connect, clock: FakeClock
) -> None:
    conversations = FakeConversations([Queued(2, 8.0)])
    client = connect(await serve(conversations))
    async with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=HI, stream=True
    ) as response:
        lines = response.iter_lines()
        assert await anext(lines) == ": queued 2"
        await anext(lines)
        await clock.advance(15.0)
        assert await anext(lines) == ": working"
        (await conversations.begun()).say(Delta("Go"), Finished(FinishReason.STOP))
        assert "Go" in "".join([line async for line in lines])
    answering = asyncio.create_task(stream_all(client))
    (await conversations.begun(2)).say(Delta("Go"), Finished(FinishReason.STOP))
    assert text_of(await answering) == "Go"
