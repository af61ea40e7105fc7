"""Tools behind another server: told as OpenAI's API has them, and its calls passed on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.generation import (
    ChatMessage,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolUse,
)
from bot.metrics import Metrics
from tests.bot.inference.remote.asking import count, engine_over, question
from tests.fakes.model_server import FakeModelServer, chunk, event, says, sends

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("get_weather", "Looks it up.", json.dumps(SCHEMA))
NOW = Tool("now", is_strict=True)
STOP = event(chunk(reason="tool_calls")) + b"data: [DONE]\n\n"


def asking(use: ToolUse, *more: ChatMessage) -> GenerationRequest:
    told = ChatMessage("system", "", tools=use.tools)
    asked = question()
    return replace(asked, messages=(told, *asked.messages, *more), tool_use=use)


def use(*tools: Tool, **how: Any) -> ToolUse:
    return ToolUse(tools, how.pop("only", frozenset(tool.name for tool in tools)), **how)


def piece(*calls: object, **fields: object) -> bytes:
    delta = {"tool_calls": list(calls), **fields}
    return event({"choices": [{"index": 0, "delta": delta}]})


def call(index: int | None, arguments: object, **begun: str) -> dict[str, object]:
    name = {"name": begun.pop("name")} if "name" in begun else {}
    made: dict[str, object] = {"function": {**name, "arguments": arguments}, **begun}
    return made if index is None else {"index": index, **made}


async def events_of(
    server: FakeModelServer, raw: bytes, metrics: Metrics | None = None
) -> list[GenerationEvent]:
    server.script.append(sends(raw))
    async with engine_over(server, metrics=metrics) as engine:
        return [each async for each in await engine.generate(asking(use(WEATHER, NOW)))]


def calls_of(events: list[GenerationEvent]) -> list[tuple[str, str, str]]:
    calls = [each for each in events if isinstance(each, ToolCallDelta)]
    return [
        (first.id, first.name, "".join(c.arguments for c in calls if c.index == first.index))
        for first in calls
        if first.name
    ]


async def body_of(server: FakeModelServer, request: GenerationRequest) -> dict[str, Any]:
    server.script.append(says("ok"))
    async with engine_over(server) as engine:
        async for _ in await engine.generate(request):
            pass
    return server.asked[-1]


async def test_the_server_is_told_of_the_tools_and_of_all_that_was_called(
    server: FakeModelServer,
) -> None:
    called = ChatMessage("assistant", "", calls=(ToolCall("c1", "now", '{"a": 1}'),))
    request = asking(use(WEATHER, NOW), called, ChatMessage("tool", "noon", call_id="c1"))
    body = await body_of(server, request)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Looks it up.",
                "parameters": SCHEMA,
            },
        },
        {
            "type": "function",
            "function": {"name": "now", "parameters": {"type": "object"}, "strict": True},
        },
    ]
    assert "tool_choice" not in body
    assert "parallel_tool_calls" not in body
    _, said, told = body["messages"]
    assert said == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}}
        ],
    }
    assert told == {"role": "tool", "content": "noon", "tool_call_id": "c1"}


async def test_how_tools_may_be_called_is_passed_on(server: FakeModelServer) -> None:
    body = await body_of(server, asking(use(WEATHER, NOW, is_required=True)))
    assert body["tool_choice"] == "required"
    named = use(WEATHER, NOW, only=frozenset({"now"}), is_required=True, is_parallel=False)
    body = await body_of(server, asking(named))
    assert body["tool_choice"] == {"type": "function", "function": {"name": "now"}}
    assert body["parallel_tool_calls"] is False
    assert [tool["function"]["name"] for tool in body["tools"]] == ["now"]


async def test_calls_come_as_the_server_streams_them(server: FakeModelServer) -> None:
    metrics = Metrics()
    raw = (
        event(chunk("I look."))
        + piece(call(0, "", id="a", type="function", name="get_weather"), content=None)
        + piece(call(0, '{"city":'))
        + piece(call(0, ' "Paris"}'))
        + piece(call(1, "{}", id="b", name="now"))
        + STOP
    )
    events = await events_of(server, raw, metrics)
    assert calls_of(events) == [("a", "get_weather", '{"city": "Paris"}'), ("b", "now", "{}")]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason is FinishReason.STOP
    assert count(metrics, "tool_calls_total") == 2


BEGUN = call(0, "{", id="a", name="now")
MANNERS: dict[str, list[bytes]] = {
    "an id and a name with every piece": [piece(BEGUN), piece(call(0, "}", id="a", name="now"))],
    "an empty id and a null name": [
        piece(BEGUN),
        piece({"index": 0, "id": "", "function": {"name": None, "arguments": "}"}}),
    ],
    "an object for the arguments": [piece(call(0, {}, id="a", name="now"))],
    "no index": [piece(call(None, "{}", id="a", name="now"))],
    "what is none": [piece("x", {"index": 0}, BEGUN), piece(call(0, None)), piece(call(0, "}"))],
    "a piece of a call that never began": [piece(call(7, "{}")), piece(BEGUN), piece(call(0, "}"))],
}


@pytest.mark.parametrize("manner", MANNERS)
async def test_every_servers_manner_is_read(server: FakeModelServer, manner: str) -> None:
    events = await events_of(server, b"".join(MANNERS[manner]) + STOP)
    assert calls_of(events) == [("a", "now", "{}")]


async def test_calls_of_one_number_are_told_apart_by_their_ids(server: FakeModelServer) -> None:
    two = piece(call(0, "{}", id="a", name="now")) + piece(call(0, "[]", id="b", name="now"))
    assert calls_of(await events_of(server, two + STOP)) == [
        ("a", "now", "{}"),
        ("b", "now", "[]"),
    ]


async def test_a_call_without_an_id_gets_one(server: FakeModelServer) -> None:
    ((number, name, _),) = calls_of(await events_of(server, piece(call(0, "{}", name="f")) + STOP))
    assert number.startswith("call_")
    assert name == "f"


async def test_a_pair_of_surrogates_may_be_cut_between_two_pieces(server: FakeModelServer) -> None:
    raw = piece(call(0, '{"a": "\ud83d', id="a", name="now")) + piece(call(0, '\ude00"}'))
    assert calls_of(await events_of(server, raw + STOP)) == [("a", "now", '{"a": "😀"}')]


async def test_the_older_form_is_a_call_too(server: FakeModelServer) -> None:
    older = {"function_call": {"name": "now", "arguments": "{}"}}
    raw = event({"choices": [{"index": 0, "delta": older}]}) + STOP
    ((_, name, arguments),) = calls_of(await events_of(server, raw))
    assert (name, arguments) == ("now", "{}")


async def test_a_whole_answer_may_call(server: FakeModelServer) -> None:
    message = {"content": None, "tool_calls": [call(None, "{}", id="a", name="now")]}
    body = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    server.script.append(sends(json.dumps(body).encode(), "application/json"))
    async with engine_over(server) as engine:
        events = [each async for each in await engine.generate(asking(use(NOW)))]
    assert calls_of(events) == [("a", "now", "{}")]


async def test_tools_count_as_a_part_of_the_prompt(server: FakeModelServer) -> None:
    async with engine_over(server) as engine:
        bare = await engine.count(question().messages)
        told = await engine.count(asking(use(WEATHER, NOW)).messages)
    assert told > bare + 30
