"""Programs on the way through Parley: the official client, and what operators look at."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Annotated, Literal

import aiohttp
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, pydantic_function_tool
from openai.types.chat import (
    ChatCompletionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat.chat_completion_message_function_tool_call_param import Function
from pydantic import BaseModel, Field

from bot.personality import PersonalityBook
from tests.ports import free_port
from tests.scenarios.asking import metric, until_metric
from tests.scenarios.parley import ROOT, Parley, running_parley
from tests.scenarios.personalities import FREQUENCY_PENALTY as RAMBLING_ON
from tests.scenarios.personalities import RAMBLING
from tests.scenarios.polling import eventually

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

MODEL = "smollm2"
PERSONALITIES = {path.stem for path in (ROOT / "personalities").glob("*.md")}
CAPITAL = "What is the capital of France? Answer in one sentence."
STORY = "Write a very long story about a llama that walks around the world."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    folder = tmp_path_factory.mktemp("parley")
    settings = {"PARLEY_MAX_TOKENS": "24"}
    async with running_parley(folder, free_port(), settings, RAMBLING) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(parley: Parley) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{parley.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def user(text: str) -> ChatCompletionUserMessageParam:
    return {"role": "user", "content": text}


@pytest.fixture(scope="module")
def coder() -> str:
    return PersonalityBook.load(ROOT / "personalities", "assistant").get("coder").prompt


def system_message(text: str) -> ChatCompletionSystemMessageParam:
    return {"role": "system", "content": text}


# The official client


async def test_several_answers_to_one_question_evaluate_it_once(
    client: AsyncOpenAI, parley: Parley
) -> None:
    before = await metric(parley, "parley_prompt_tokens_total", source="evaluated")
    asked = user("Tell me about the sea. " * 12)
    answer = await client.chat.completions.create(
        model=MODEL, messages=[asked], n=4, seed=5, temperature=1.5, max_tokens=8, logprobs=True
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage is not None
    for choice in answer.choices:
        assert choice.logprobs is not None
        said = b"".join(bytes(token.bytes or []) for token in choice.logprobs.content or [])
        assert said.decode("utf-8", "replace") == choice.message.content
    after = await metric(parley, "parley_prompt_tokens_total", source="evaluated")
    assert 50 < after - before <= answer.usage.prompt_tokens + 4


async def test_a_biased_token_is_the_answer(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user(CAPITAL)], logit_bias={"700": 100}, max_tokens=3, logprobs=True
    )
    assert answer.choices[0].logprobs is not None
    assert len({token.token for token in answer.choices[0].logprobs.content or []}) == 1


async def test_a_question_gets_an_answer_with_its_usage(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user(CAPITAL)], temperature=0
    )
    (choice,) = answer.choices
    assert choice.message.content
    assert choice.message.role == "assistant"
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 10
    assert 1 <= answer.usage.completion_tokens <= 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.model == MODEL


async def test_a_stream_grows_and_ends_with_its_usage(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[user(STORY)],
        frequency_penalty=RAMBLING_ON,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    *growing, last = chunks
    texts = [chunk.choices[0].delta.content or "" for chunk in growing]
    assert sum(bool(text) for text in texts) > 3
    assert growing[-1].choices[0].finish_reason == "length"
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 24
    assert len({chunk.id for chunk in chunks}) == 1


async def test_streamed_or_whole_the_text_is_the_same(client: AsyncOpenAI) -> None:
    asked = user("Say hello.")
    # Evaluates the prompt; the other two go on from it alike, so that they are rounded alike.
    await client.chat.completions.create(model=MODEL, messages=[asked], temperature=0)
    whole = await client.chat.completions.create(model=MODEL, messages=[asked], temperature=0)
    stream = await client.chat.completions.create(
        model=MODEL, messages=[asked], temperature=0, stream=True
    )
    grown = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert grown == whole.choices[0].message.content


async def test_a_response_says_what_a_chat_says(client: AsyncOpenAI) -> None:
    # Evaluates the prompt; the others go on from it alike.
    await client.responses.create(model=MODEL, input=CAPITAL, temperature=0)
    chat = await client.chat.completions.create(
        model=MODEL, messages=[user(CAPITAL)], temperature=0
    )
    response = await client.responses.create(model=MODEL, input=CAPITAL, temperature=0)
    assert response.output_text == chat.choices[0].message.content
    async with client.responses.stream(model=MODEL, input=CAPITAL, temperature=0) as stream:
        final = await stream.get_final_response()
    assert final.output_text == response.output_text
    assert final.usage is not None
    assert final.usage.input_tokens_details.cached_tokens > 0


async def test_a_stop_string_counts_before_the_limit_and_what_follows_it_does_not(
    client: AsyncOpenAI,
) -> None:
    async def asked(*stop: str) -> tuple[str | None, str, int]:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[user(CAPITAL)], temperature=0, max_tokens=4, stop=list(stop)
        )
        assert answer.usage is not None
        (choice,) = answer.choices
        return choice.message.content, choice.finish_reason, answer.usage.completion_tokens

    text, reason, num_tokens = await asked()
    assert (reason, num_tokens) == ("length", 4)
    assert text
    assert await asked(text) == ("", "stop", 4)
    shown, reason, num_tokens = await asked(text[:2])
    assert (shown, reason) == ("", "stop")
    assert num_tokens < 4


async def test_the_first_indent_and_the_last_lines_of_a_message_are_asked(
    client: AsyncOpenAI,
) -> None:
    async def num_tokens(text: str) -> int:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[user(text)], max_tokens=1
        )
        assert answer.usage is not None
        return answer.usage.prompt_tokens

    bare = await num_tokens("1 + 1")
    assert await num_tokens(" \t \n\t \n \t1 + 1") > bare
    assert await num_tokens("1 + 1\n\n\n") > bare


async def test_a_stop_string_ends_the_answer_and_is_not_shown(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user(STORY)], frequency_penalty=RAMBLING_ON, stop=[" comes"]
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert (choice.message.content or "").strip() == "and the tide"
    assert answer.usage is not None
    assert answer.usage.completion_tokens < 24


async def test_max_tokens_ends_the_answer_with_length(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user(STORY)], frequency_penalty=RAMBLING_ON, max_tokens=5
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


async def test_a_seed_and_sampling_are_accepted(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[user("Say hello.")],
        seed=7,
        temperature=1.2,
        top_p=0.9,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        user="ada",
    )
    assert answer.choices[0].message.content


async def test_a_personality_is_a_model_whose_prompt_comes_first(
    client: AsyncOpenAI, coder: str
) -> None:
    """Told from the number of tokens: the same as when the client sends that prompt itself."""

    async def num_tokens(model: str, *system: str) -> int:
        messages = [system_message(text) for text in system]
        answer = await client.chat.completions.create(
            model=model, messages=[*messages, user("Hi")], max_tokens=1
        )
        assert answer.model == model
        assert answer.usage is not None
        return answer.usage.prompt_tokens

    assert await num_tokens("coder") == await num_tokens(MODEL, coder)
    assert await num_tokens("coder", "Be kind.") == await num_tokens(MODEL, "Be kind.")
    assert await num_tokens("coder") > await num_tokens("coder", "Be kind.") + 10


async def test_a_conversation_is_what_the_client_sends_each_time(client: AsyncOpenAI) -> None:
    """Told from the number of tokens: the history's, and nothing of an earlier request's."""
    said: list[ChatCompletionMessageParam] = [
        user("My name is Ada."),
        {"role": "assistant", "content": "Nice to meet you, Ada!"},
    ]
    question = user("What is my name?")

    async def num_tokens(*messages: ChatCompletionMessageParam) -> int:
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=messages,
            max_tokens=4,
            extra_headers={"X-Parley-Thread": "greetings/1"},
        )
        assert answer.choices[0].message.content
        assert answer.usage is not None
        return answer.usage.prompt_tokens

    alone = await num_tokens(question)
    assert await num_tokens(*said, question) > alone + 10
    assert await num_tokens(question) == alone


async def test_many_at_once_are_all_answered(client: AsyncOpenAI) -> None:
    asking = (
        client.chat.completions.create(model=MODEL, messages=[user(f"Say {n}.")], max_tokens=4)
        for n in range(12)
    )
    answers = await asyncio.gather(*asking)
    assert all(answer.choices[0].message.content for answer in answers)


async def test_the_models_are_the_model_and_the_personalities(client: AsyncOpenAI) -> None:
    models = [model.id async for model in client.models.list()]
    assert models[0] == MODEL
    assert set(models) == {MODEL, *PERSONALITIES}
    assert (await client.models.retrieve("tutor")).id == "tutor"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-4o")


async def test_the_clients_errors_are_the_ones_it_knows(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-4o'"):
        await client.chat.completions.create(model="gpt-4o", messages=[user("Hi")])
    with pytest.raises(openai.BadRequestError, match="too long for the model") as caught:
        await client.chat.completions.create(model=MODEL, messages=[user("word " * 10_000)])
    assert caught.value.code == "context_length_exceeded"


async def test_leaving_a_stream_stops_the_reply(parley: Parley, client: AsyncOpenAI) -> None:
    cancelled = await metric(parley, "parley_cancelled_total")
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[user(STORY)],
        frequency_penalty=RAMBLING_ON,
        stream=True,
        max_tokens=4_000,
    )
    async for _ in stream:
        break
    await stream.close()
    await until_metric(parley, "parley_cancelled_total", lambda now: now == cancelled + 1)
    await until_metric(parley, "parley_running_sequences", lambda running: running == 0)


# Answers in a format


class City(BaseModel):
    name: Annotated[str, Field(max_length=20)]
    kind: Literal["capital", "village"]
    founded: Annotated[int, Field(ge=-3000, le=2026)] | None
    sights: Annotated[list[Annotated[str, Field(max_length=15)]], Field(min_length=1, max_length=2)]


async def test_a_class_of_the_program_is_what_the_answer_is_read_into(
    client: AsyncOpenAI,
) -> None:
    answer = await client.chat.completions.parse(
        model=MODEL, messages=[user("Describe Paris.")], response_format=City, max_tokens=400
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert isinstance(choice.message.parsed, City)


class Seven(BaseModel):
    number: Literal[7]


class Three(BaseModel):
    number: Literal[3]


async def test_what_the_format_left_no_choice_for_is_counted(
    parley: Parley, client: AsyncOpenAI
) -> None:
    before = await metric(parley, "parley_grammar_forced_total")
    for kind in (Seven, Three):
        answer = await client.chat.completions.parse(
            model=MODEL, messages=[user("How many?")], response_format=kind, temperature=0
        )
        assert isinstance(answer.choices[0].message.parsed, kind)
    assert await metric(parley, "parley_grammar_forced_total") > before


async def test_an_answer_in_a_format_grows_like_any_other(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model=MODEL, messages=[user("Describe Paris.")], response_format=City, max_tokens=400
    ) as stream:
        growing = [event.delta async for event in stream if event.type == "content.delta"]
        answer = await stream.get_final_completion()
    assert len(growing) > 3
    assert isinstance(answer.choices[0].message.parsed, City)


async def test_any_json_object_is_read_as_one(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[user('Answer with exactly {"hello": "world"} and nothing else.')],
        response_format={"type": "json_object"},
        temperature=0,
        max_tokens=400,
    )
    (choice,) = answer.choices
    text = choice.message.content or ""
    assert text.startswith("{")
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_format_that_cannot_be_followed_is_the_clients_mistake(
    client: AsyncOpenAI, stream: bool
) -> None:
    schema: dict[str, object] = {"type": "string", "format": "iban"}
    with pytest.raises(openai.BadRequestError, match="format 'iban'") as caught:
        await client.chat.completions.create(
            model=MODEL,
            messages=[user("Hi")],
            stream=stream,
            response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        )
    assert (caught.value.param, caught.value.code) == (
        "response_format",
        "unsupported_response_format",
    )


# Tools


class GetWeather(BaseModel):
    """Looks up the weather in a city."""

    city: Annotated[str, Field(max_length=20, pattern="^[A-Z][a-z]+$")]
    unit: Literal["celsius", "kelvin"]


class Wait(BaseModel):
    """Waits."""

    minutes: Annotated[int, Field(ge=1, le=60)]


async def test_the_model_calls_a_tool_reads_what_came_of_it_and_answers(
    client: AsyncOpenAI, parley: Parley
) -> None:
    before = await metric(parley, "parley_tool_calls_total")
    tools = [pydantic_function_tool(GetWeather), pydantic_function_tool(Wait)]
    said: list[ChatCompletionMessageParam] = [user("What is the weather in Paris?")]
    async with client.chat.completions.stream(
        model=MODEL,
        messages=said,
        tools=tools,
        tool_choice="required",
        parallel_tool_calls=False,
        max_tokens=100,
    ) as stream:
        growing = [event async for event in stream if event.type.startswith("tool_calls")]
        answer = await stream.get_final_completion()
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls
    (call,) = choice.message.tool_calls
    assert len(growing) > 1
    assert isinstance(call.function.parsed_arguments, GetWeather | Wait)
    assert await metric(parley, "parley_tool_calls_total") == before + 1
    made: Function = {"name": call.function.name, "arguments": call.function.arguments}
    said += [
        {
            "role": "assistant",
            "tool_calls": [{"id": call.id, "type": "function", "function": made}],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "It is 21 °C."},
    ]
    last = await client.chat.completions.create(
        model=MODEL, messages=said, tools=tools, tool_choice="none", max_tokens=8
    )
    assert last.choices[0].message.content
    assert last.choices[0].finish_reason in ("stop", "length")


async def test_a_named_tool_is_called_once_and_a_free_answer_stays_text(
    client: AsyncOpenAI,
) -> None:
    tools = [pydantic_function_tool(GetWeather), pydantic_function_tool(Wait)]
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[user("Wait for ten minutes.")],
        tools=tools,
        tool_choice={"type": "function", "function": {"name": "Wait"}},
        max_tokens=100,
    )
    (choice,) = answer.choices
    assert choice.message.tool_calls
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "Wait"
    assert 1 <= Wait.model_validate_json(call.function.arguments).minutes <= 60
    free = await client.chat.completions.create(
        model=MODEL, messages=[user(CAPITAL)], tools=tools, temperature=0, max_tokens=8
    )
    assert free.choices[0].message.content or free.choices[0].message.tool_calls


async def test_a_strict_tool_that_cannot_be_followed_is_the_clients_mistake(
    client: AsyncOpenAI,
) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"n": {"format": "iban"}}}
    with pytest.raises(openai.BadRequestError, match=r"'pay'.*format 'iban'") as caught:
        await client.chat.completions.create(
            model=MODEL,
            messages=[user("Pay.")],
            tools=[
                {
                    "type": "function",
                    "function": {"name": "pay", "parameters": schema, "strict": True},
                }
            ],
        )
    assert caught.value.param == "tools"


# Operators


async def test_health_and_readiness_say_what_is_there(parley: Parley) -> None:
    async with aiohttp.ClientSession(parley.url) as session:
        async with session.get("/healthz") as response:
            assert (response.status, await response.json()) == (200, {"status": "ok"})
        async with session.get("/readyz") as response:
            assert response.status == 200
            assert await response.json() == {
                "ready": True,
                "model": {"name": MODEL, "status": "up"},
                "database": {"status": "up", "detail": ""},
                "adapters": {},
            }


async def test_parley_is_not_ready_while_another_program_locks_its_database(
    parley: Parley,
) -> None:
    async def readiness() -> tuple[int, str]:
        async with session.get("/readyz") as response:
            return response.status, (await response.json())["database"]["status"]

    async def is_ready() -> bool:
        return await readiness() == (200, "up")

    async with aiohttp.ClientSession(parley.url) as session:
        with closing(sqlite3.connect(parley.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await readiness() == (503, "failing")
            async with session.get("/healthz") as response:
                assert response.status == 200
        assert await eventually(is_ready)


async def test_the_metrics_count_what_was_answered(parley: Parley, client: AsyncOpenAI) -> None:
    written = await metric(parley, "parley_completion_tokens_total")
    answer = await client.chat.completions.create(
        model=MODEL, messages=[user(STORY)], frequency_penalty=RAMBLING_ON, max_tokens=5
    )
    assert answer.usage is not None
    assert await metric(parley, "parley_completion_tokens_total") == written + 5
    assert await metric(parley, "parley_first_token_seconds_count") >= 1
    assert await metric(parley, "parley_step_seconds_count") >= 5
