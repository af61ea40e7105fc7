"""Tools in requests, and calls in answers as the official client reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from openai import pydantic_function_tool
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.chat.completion_create_params import Function
from pydantic import BaseModel

from bot.errors import UnsupportedOption
from bot.generation import (
    CompletionRequest,
    Delta,
    Finished,
    FinishReason,
    GenerationEvent,
    ToolCall,
    ToolCallDelta,
    ToolUse,
)
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.adapters.http.openai.test_bad_input import ask, asked, post
from tests.fakes.conversations import USAGE, FakeConversations

HI: ChatCompletionMessageParam = {"role": "user", "content": "How warm is it?"}
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Looks it up.", "parameters": SCHEMA},
}
NOW: ChatCompletionToolParam = {"type": "function", "function": {"name": "now"}}
BOTH = [WEATHER, NOW]
EMPTY: list[object] = []
DONE = Finished(FinishReason.STOP, USAGE)
Script = Sequence[GenerationEvent]
CALL: Script = (
    ToolCallDelta(0, id="call_1", name="get_weather"),
    ToolCallDelta(0, '{"city": '),
    ToolCallDelta(0, '"Paris"}'),
)
NEXT = ToolCallDelta(1, "{}", id="call_2", name="now")


async def use(serve: Serve, **keys: object) -> ToolUse | None:
    request: CompletionRequest = await asked(serve, **{"tools": BOTH, **keys})
    return request.tool_use


# What is asked


async def test_the_tools_reach_the_engine_with_what_they_demand(serve: Serve) -> None:
    strict = {"type": "function", "function": {"name": "s", "strict": True, "parameters": SCHEMA}}
    found = await use(serve, tools=[*BOTH, strict])
    assert found is not None
    weather, now, last = found.tools
    assert (weather.name, weather.description) == ("get_weather", "Looks it up.")
    assert json.loads(weather.parameters) == SCHEMA
    assert json.loads(now.parameters) == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }
    assert [tool.is_strict for tool in (weather, now, last)] == [False, False, True]
    assert found.callable == {"get_weather", "now", "s"}
    assert (found.is_required, found.is_parallel) == (False, True)


def named(name: str) -> dict[str, object]:
    return {"type": "function", "function": {"name": name}}


def of(*names: str, mode: str = "auto") -> dict[str, object]:
    return {
        "type": "allowed_tools",
        "allowed_tools": {"mode": mode, "tools": [named(name) for name in names]},
    }


@pytest.mark.parametrize(
    ("choice", "callable_", "required", "parallel"),
    [
        ("auto", {"get_weather", "now"}, False, True),
        (None, {"get_weather", "now"}, False, True),
        ("required", {"get_weather", "now"}, True, True),
        ("any", {"get_weather", "now"}, True, True),
        (named("now"), {"now"}, True, False),
        (of("now"), {"now"}, False, True),
        (of("now", "get_weather", mode="required"), {"get_weather", "now"}, True, True),
    ],
)
async def test_who_asks_says_what_is_called(
    serve: Serve, choice: object, callable_: set[str], required: bool, parallel: bool
) -> None:
    found = await use(serve, tool_choice=choice)
    assert found is not None
    assert found.callable == callable_
    assert (found.is_required, found.is_parallel) == (required, parallel)
    assert len(found.tools) == 2
    single = await use(serve, tool_choice=choice, parallel_tool_calls=False)
    assert single is not None
    assert not single.is_parallel


async def test_none_calls_nothing_and_no_tools_are_none(serve: Serve) -> None:
    assert await use(serve, tool_choice="none") is None
    for tools in (EMPTY, None):
        assert await use(serve, tools=tools) is None
        assert await use(serve, tools=tools, tool_choice="auto") is None
    assert await use(serve, tools=None, parallel_tool_calls=True, tool_choice="none") is None


async def test_the_older_form_asks_the_same_for_one_call(serve: Serve) -> None:
    functions = [WEATHER["function"], NOW["function"]]
    newer = await use(serve, parallel_tool_calls=False)
    assert await use(serve, tools=None, functions=functions) == newer
    one = await use(serve, tools=None, functions=functions, function_call={"name": "now"})
    assert one is not None
    assert one.callable == {"now"}
    assert one.is_required
    assert await use(serve, tools=None, functions=functions, function_call="none") is None


def tool(**function: object) -> dict[str, object]:
    return {"type": "function", "function": {"name": "f", **function}}


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"tools": [WEATHER, NOW, WEATHER]}, "tools[2].function.name"),
        ({"tools": [tool(name="get weather")]}, "tools[0].function.name"),
        ({"tools": [tool(name="")]}, "tools[0].function.name"),
        ({"tools": [tool(name="x" * 65)]}, "tools[0].function.name"),
        ({"tools": [tool(name=5)]}, "tools[0].function.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [tool(parameters="{}")]}, "tools[0].function.parameters"),
        ({"tools": [tool(parameters=[])]}, "tools[0].function.parameters"),
        ({"tools": [tool(parameters={"type": "string"})]}, "tools[0].function.parameters"),
        ({"tools": [tool(parameters={"type": ["object"]})]}, "tools[0].function.parameters"),
        ({"tools": [tool(strict="yes")]}, "tools[0].function.strict"),
        ({"tools": [tool(description="\x00")]}, "tools[0].function.description"),
        ({"tools": [tool(name=f"f{n}") for n in range(129)]}, "tools"),
        ({"tools": "get_weather"}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": BOTH, "tool_choice": "always"}, "tool_choice"),
        ({"tools": BOTH, "tool_choice": named("tomorrow")}, "tool_choice"),
        ({"tools": BOTH, "tool_choice": named("x" * 1_000)}, "tool_choice"),
        ({"tools": BOTH, "tool_choice": of("now", "tomorrow")}, "tool_choice"),
        ({"tools": BOTH, "tool_choice": of()}, "tool_choice"),
        ({"tools": BOTH, "tool_choice": of("now", mode="never")}, "tool_choice"),
        ({"tools": BOTH, "tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tools": BOTH, "tool_choice": 5}, "tool_choice"),
        ({"tools": BOTH, "parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [], "tool_choice": named("now")}, "tool_choice"),
        ({"function_call": {"name": "now"}}, "function_call"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call"),
        ({"functions": [{"name": "f"}, {"name": "f"}]}, "functions[1].name"),
        ({"functions": [{"name": "f"}], "tools": BOTH}, "functions"),
    ],
)
async def test_what_is_wrong_with_tools_is_named(
    serve: Serve, keys: dict[str, object], param: str
) -> None:
    answer = await ask(serve, **keys)
    assert (answer.status, answer.param) == (400, param)
    assert answer.message.startswith(param)
    assert len(answer.message) < 300


async def test_a_strict_tool_that_the_engine_refuses_is_the_clients_mistake(serve: Serve) -> None:
    refusal = UnsupportedOption("tools", "has 'f' with a schema that is not followed.")
    body = json.dumps({"messages": [HI], "tools": BOTH}).encode()
    answer = await post(serve, body, conversations=FakeConversations(refusal=refusal))
    assert (answer.status, answer.param) == (400, "tools")


# What is answered


class GetWeather(BaseModel):
    """Looks it up."""

    city: str


async def test_a_call_is_a_message_without_text(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations([*CALL, NEXT, DONE])))
    answer = await client.chat.completions.create(model=MODEL, messages=[HI], tools=BOTH)
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    made = [each for each in choice.message.tool_calls or () if each.type == "function"]
    assert [(each.id, each.function.name, each.function.arguments) for each in made] == [
        ("call_1", "get_weather", '{"city": "Paris"}'),
        ("call_2", "now", "{}"),
    ]
    assert answer.usage is not None


async def test_text_before_a_call_stays(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations([Delta("I look."), *CALL, DONE])))
    answer = await client.chat.completions.create(model=MODEL, messages=[HI], tools=BOTH)
    assert answer.choices[0].message.content == "I look."
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_an_answer_without_calls_has_no_key_for_them(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations()))
    answer = await client.chat.completions.create(model=MODEL, messages=[HI], tools=BOTH)
    assert answer.choices[0].message.content == "Hello there"
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"


async def test_a_call_that_was_cut_short_is_not_to_be_made(serve: Serve, connect: Connect) -> None:
    cut: Script = [*CALL[:2], Finished(FinishReason.LENGTH, USAGE)]
    client = connect(await serve(FakeConversations(cut)))
    answer = await client.chat.completions.create(model=MODEL, messages=[HI], tools=BOTH)
    assert answer.choices[0].finish_reason == "length"


async def test_a_stream_names_the_call_first_and_then_brings_its_arguments(
    serve: Serve, connect: Connect
) -> None:
    script: Script = [Delta("I look."), *CALL, NEXT, DONE]
    client = connect(await serve(FakeConversations(script)))
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[HI],
        tools=BOTH,
        stream=True,
        stream_options={"include_usage": True},
    )
    *chunks, last = [chunk async for chunk in stream]
    assert last.usage is not None
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert (deltas[0].role, deltas[0].content) == ("assistant", "I look.")
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    functions = [each.function for each in calls]
    assert [(call.index, call.id, call.type) for call in calls if call.id] == [
        (0, "call_1", "function"),
        (1, "call_2", "function"),
    ]
    begun = [(f.name, f.arguments) for f in functions if f and f.name]
    assert begun == [("get_weather", ""), ("now", "")]
    written = "".join(f.arguments or "" for f in functions if f)
    assert written == '{"city": "Paris"}{}'
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_a_stream_that_begins_with_a_call_says_who_speaks(
    serve: Serve, connect: Connect
) -> None:
    client = connect(await serve(FakeConversations([*CALL, DONE])))
    stream = await client.chat.completions.create(
        model=MODEL, messages=[HI], tools=BOTH, stream=True
    )
    deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
    assert [delta.role for delta in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
    assert all(delta.content is None for delta in deltas)


async def test_the_clients_helper_reads_the_arguments_into_a_class(
    serve: Serve, connect: Connect
) -> None:
    tools = [pydantic_function_tool(GetWeather, name="get_weather")]
    conversations = FakeConversations([*CALL, DONE])
    client = connect(await serve(conversations))
    async with client.chat.completions.stream(model=MODEL, messages=[HI], tools=tools) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_completion()
    for answer in (
        final,
        await client.chat.completions.parse(model=MODEL, messages=[HI], tools=tools),
    ):
        assert answer.choices[0].message.tool_calls
        (made,) = answer.choices[0].message.tool_calls
        assert made.function.parsed_arguments == GetWeather(city="Paris")
    pieces = [e.arguments_delta for e in events if e.type == "tool_calls.function.arguments.delta"]
    assert "".join(pieces) == '{"city": "Paris"}'
    sent = conversations.requests[0].tool_use
    assert sent is not None
    assert sent.tools[0].is_strict


async def test_several_answers_have_calls_of_their_own(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations([*CALL, DONE])))
    answer = await client.chat.completions.create(model=MODEL, messages=[HI], tools=BOTH, n=2)
    assert [len(choice.message.tool_calls or ()) for choice in answer.choices] == [1, 1]
    stream = await client.chat.completions.create(
        model=MODEL, messages=[HI], tools=BOTH, n=2, stream=True
    )
    ends = [c.choices[0] async for c in stream if c.choices and c.choices[0].finish_reason]
    assert sorted((end.index, end.finish_reason) for end in ends) == [
        (0, "tool_calls"),
        (1, "tool_calls"),
    ]


async def test_who_asks_in_the_older_form_is_answered_in_it(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations([*CALL, DONE])))
    functions: list[Function] = [{"name": "get_weather", "parameters": SCHEMA}]
    answer = await client.chat.completions.create(model=MODEL, messages=[HI], functions=functions)
    (choice,) = answer.choices
    assert choice.finish_reason == "function_call"
    assert choice.message.tool_calls is None
    assert choice.message.function_call is not None
    assert choice.message.function_call.arguments == '{"city": "Paris"}'
    stream = await client.chat.completions.create(
        model=MODEL, messages=[HI], functions=functions, stream=True
    )
    chunks = [chunk.choices[0] async for chunk in stream]
    calls = [chunk.delta.function_call for chunk in chunks if chunk.delta.function_call]
    assert [call.name for call in calls if call.name] == ["get_weather"]
    assert "".join(call.arguments or "" for call in calls) == '{"city": "Paris"}'
    assert chunks[-1].finish_reason == "function_call"


async def test_the_result_of_a_call_is_sent_back_as_the_client_has_it(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([*CALL, DONE])
    client = connect(await serve(conversations))
    first = await client.chat.completions.create(model=MODEL, messages=[HI], tools=BOTH)
    message = first.choices[0].message
    told: list[ChatCompletionMessageParam] = [
        HI,
        message.to_dict(),  # type: ignore[list-item]
        {"role": "tool", "tool_call_id": "call_1", "content": "21 °C"},
    ]
    await client.chat.completions.create(model=MODEL, messages=told, tools=BOTH)
    _, called, result = conversations.requests[1].messages
    assert called.calls == (ToolCall("call_1", "get_weather", '{"city": "Paris"}'),)
    assert (called.content, result.role, result.content) == ("", "tool", "21 °C")
    assert result.call_id == "call_1"
