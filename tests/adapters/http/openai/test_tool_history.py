"""Calls of tools and their results, in a conversation that a program sends back."""

from __future__ import annotations

import json

import pytest

from bot.inference.chat_template.tools import in_words
from tests.adapters.http.conftest import Serve
from tests.adapters.http.openai.test_bad_input import HI, ask, asked

ASKED = {"role": "user", "content": "How warm is it in Paris and in Rome?"}


def call(city: str, number: str = "1") -> dict[str, object]:
    function = {"name": "get_weather", "arguments": json.dumps({"city": city})}
    return {"id": number, "type": "function", "function": function}


def calls(*made: object, content: object = None) -> dict[str, object]:
    return {"role": "assistant", "content": content, "tool_calls": list(made)}


def result(content: object, number: str = "1") -> dict[str, object]:
    return {"role": "tool", "tool_call_id": number, "content": content}


async def history(serve: Serve, *messages: object) -> list[tuple[str, str]]:
    request = await asked(serve, messages=[ASKED, *messages])
    return [(message.role, message.content) for message in in_words(request.messages)[1:]]


async def test_the_model_reads_what_it_called_and_what_came_of_it(serve: Serve) -> None:
    assert await history(serve, calls(call("Paris")), result("21 °C"), HI) == [
        (
            "assistant",
            '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
        ),
        ("user", "<tool_response>\n21 °C\n</tool_response>"),
        ("user", "Hi"),
    ]


async def test_several_calls_are_one_message_and_so_are_their_results(serve: Serve) -> None:
    made = calls(call("Paris"), call("Rome", "2"), content="I look it up.")
    said, told = await history(serve, made, result("21", "2"), result([text("19"), text("20")]))
    assert said[1].startswith("I look it up.\n<tool_call>\n")
    assert said[1].count("<tool_call>") == 2
    assert told == (
        "user",
        "<tool_response>\n21\n</tool_response>\n<tool_response>\n19\n20\n</tool_response>",
    )


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


async def test_the_older_form_of_tools_reads_the_same(serve: Serve) -> None:
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    older = {"role": "assistant", "content": None, "function_call": function}
    told = {"role": "function", "name": "get_weather", "content": "21"}
    assert await history(serve, older, told) == await history(
        serve, calls(call("Paris")), result("21")
    )


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"a":1}', '{"a":1}'),
        (' {"ö": "\\u00f6"}\n', '{"ö": "\\u00f6"}'),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ("", "{}"),
        ("{broken", '"{broken"'),
        ("[" * 100_000, json.dumps("[" * 100_000)),
    ],
)
async def test_arguments_stay_as_they_were_written(
    serve: Serve, arguments: object, shown: str
) -> None:
    made = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    ((_, said),) = await history(serve, calls(made))
    assert said == f'<tool_call>\n{{"name": "f", "arguments": {shown}}}\n</tool_call>'


async def test_a_refusal_is_what_the_assistant_said(serve: Serve) -> None:
    refused = {"role": "assistant", "content": None, "refusal": "I will not."}
    assert await history(serve, refused) == [("assistant", "I will not.")]


NO_ID = {"role": "tool", "content": "21"}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "tool", "content": "21", "tool_call_id": "1"}], "messages[1].tool_call_id"),
        ([calls(call("Paris")), NO_ID], "messages[2].tool_call_id"),
        ([calls(call("Paris")), result("21", "2")], "messages[2].tool_call_id"),
        ([calls(call("Paris")), result(None)], "messages[2].content"),
        ([calls(call("Paris")), result([{"type": "image_url"}])], "messages[2].content"),
        ([calls()], "messages[1].content"),
        ([{"role": "assistant"}], "messages[1].content"),
        ([{"role": "assistant", "content": None}], "messages[1].content"),
        ([{"role": "user", "content": None}], "messages[1].content"),
        ([{"role": "system"}], "messages[1].content"),
        ([{**HI, "tool_calls": [call("Paris")]}], "messages[1].tool_calls"),
        ([calls({})], "messages[1].tool_calls[0].id"),
        ([calls({"id": "1"})], "messages[1].tool_calls[0].function"),
        ([calls({**call("Paris"), "type": "custom"})], "messages[1].tool_calls[0].type"),
        ([calls({**call("Paris"), "id": 5})], "messages[1].tool_calls[0].id"),
        ([calls("x")], "messages[1].tool_calls[0]"),
    ],
)
async def test_what_is_wrong_with_a_history_is_named(
    serve: Serve, messages: list[object], param: str
) -> None:
    answer = await ask(serve, messages=[ASKED, *messages])
    assert (answer.status, answer.param) == (400, param)
    assert answer.message.startswith(f"{param}: ")
