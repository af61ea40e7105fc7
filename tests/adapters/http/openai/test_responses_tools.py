"""Tools in the Responses API: what is asked, and calls as the official client reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import pydantic_function_tool
from openai.types.responses import FunctionToolParam, Response, ResponseFunctionToolCall
from pydantic import BaseModel

from bot.generation import Delta, Finished, FinishReason, ToolCallDelta, ToolUse
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.adapters.http.openai.test_responses import events_of, post
from tests.fakes.conversations import USAGE, FakeConversations

SCHEMA: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "Looks it up.",
    "parameters": SCHEMA,
    "strict": False,
}
NOW = {"type": "function", "name": "now"}
CALLS = (
    Delta("Wait."),
    ToolCallDelta(0, id="call_1", name="get_weather"),
    ToolCallDelta(0, '{"city": '),
    ToolCallDelta(0, '"Bern"}'),
    ToolCallDelta(1, "{}", id="call_2", name="now"),
    Finished(FinishReason.STOP, USAGE),
)


class GetWeather(BaseModel):
    city: str


async def use(serve: Serve, **keys: Any) -> ToolUse | None:
    conversations = FakeConversations()
    body = {"input": "Hi", "tools": [WEATHER, NOW], **keys}
    status, _ = await post(await serve(conversations), body)
    assert status == 200
    return conversations.requests[0].tool_use


async def test_tools_reach_the_engine(serve: Serve) -> None:
    found = await use(serve, parallel_tool_calls=False)
    assert found is not None
    weather, now = found.tools
    assert (weather.name, weather.description) == ("get_weather", "Looks it up.")
    assert json.loads(weather.parameters) == SCHEMA
    assert now.name == "now"
    assert found.callable == {"get_weather", "now"}
    assert not found.is_required
    assert not found.is_parallel
    assert await use(serve, tools=[]) is None


@pytest.mark.parametrize(
    ("choice", "callable_", "required"),
    [
        ("auto", {"get_weather", "now"}, False),
        ("required", {"get_weather", "now"}, True),
        ({"type": "function", "name": "now"}, {"now"}, True),
        ({"type": "allowed_tools", "mode": "required", "tools": [NOW]}, {"now"}, True),
        ({"type": "allowed_tools", "mode": "auto", "tools": [NOW]}, {"now"}, False),
    ],
)
async def test_a_choice_says_which_may_be_called(
    serve: Serve, choice: object, callable_: set[str], required: bool
) -> None:
    found = await use(serve, tool_choice=choice)
    assert found is not None
    assert found.callable == callable_
    assert found.is_required == required


async def test_calls_are_items_behind_the_text(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations(CALLS)))
    response = await client.responses.create(model=MODEL, input="Hi", tools=[WEATHER])
    message, weather, now = response.output
    assert response.output_text == "Wait."
    assert message.type == "message"
    assert isinstance(weather, ResponseFunctionToolCall)
    assert (weather.call_id, weather.name) == ("call_1", "get_weather")
    assert json.loads(weather.arguments) == {"city": "Bern"}
    assert isinstance(now, ResponseFunctionToolCall)
    assert (now.call_id, now.arguments) == ("call_2", "{}")


async def test_a_response_with_calls_only_has_no_message(serve: Serve) -> None:
    _, body = await post(await serve(FakeConversations(CALLS[1:])), {"input": "Hi"})
    response = Response.model_validate(body)
    assert [item.type for item in response.output] == ["function_call", "function_call"]


async def test_calls_are_streamed_as_openai_does(serve: Serve) -> None:
    events = await events_of(await serve(FakeConversations(CALLS)), tools=[WEATHER, NOW])
    names = [event["type"].removeprefix("response.") for event in events]
    assert names[8:] == [
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    whole = events[-1]["response"]
    assert [item["type"] for item in whole["output"]] == ["message", *["function_call"] * 2]
    assert [item["status"] for item in whole["output"]] == ["completed"] * 3
    assert whole["tools"][0]["name"] == "get_weather"


async def test_a_call_that_is_cut_is_incomplete_and_what_came_before_it_is_not(
    serve: Serve,
) -> None:
    script = (*CALLS[:3], Finished(FinishReason.LENGTH, USAGE))
    _, body = await post(await serve(FakeConversations(script)), {"input": "Hi"})
    assert [item["status"] for item in body["output"]] == ["completed", "incomplete"]


async def test_the_official_client_parses_the_arguments(serve: Serve, connect: Connect) -> None:
    tool = pydantic_function_tool(GetWeather, name="get_weather")["function"]
    flat: FunctionToolParam = {
        "type": "function",
        "name": tool["name"],
        "parameters": tool["parameters"],
        "strict": True,
    }
    client = connect(await serve(FakeConversations(CALLS)))
    async with client.responses.stream(model=MODEL, input="Hi", tools=[flat]) as stream:
        response = await stream.get_final_response()
    assert response.output[1].type == "function_call"
    assert response.output[1].arguments == '{"city": "Bern"}'


@pytest.mark.parametrize(
    ("keys", "param", "sentence"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0]", "'web_search' is no tool of Parley's"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "Field required"),
        ({"tools": [NOW, NOW]}, "tools[1].name", "is 'now' for the second time"),
        ({"tools": [NOW], "tool_choice": "x"}, "tool_choice", "is 'auto', 'none', 'required'"),
        (
            {"tools": [NOW], "tool_choice": {"type": "function", "name": "x"}},
            "tool_choice",
            "names 'x', which is none of the tools",
        ),
        ({"tool_choice": "required"}, "tool_choice", "is only allowed beside tools"),
    ],
)
async def test_wrong_tools_are_refused_by_name(
    serve: Serve, keys: dict[str, Any], param: str, sentence: str
) -> None:
    status, body = await post(await serve(FakeConversations()), {"input": "Hi", **keys})
    assert (status, body["error"]["param"]) == (400, param)
    assert sentence in body["error"]["message"]
