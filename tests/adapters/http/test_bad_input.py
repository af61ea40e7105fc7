"""Bodies no client library would send, and what their authors are told."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import aiohttp
import pytest

from adapters.http.body import NEUTRAL
from bot.errors import PromptTooLong
from tests.adapters.http.conftest import Serve
from tests.fakes.conversations import FakeConversations

HI = {"role": "user", "content": "Hi"}
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    message: str
    param: str | None
    code: str | None


async def post(
    serve: Serve,
    data: bytes,
    headers: dict[str, str] | None = None,
    conversations: FakeConversations | None = None,
) -> Answer:
    server = await serve(conversations or FakeConversations())
    url = f"{server.url}/v1/chat/completions"
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url, data=io.BytesIO(data), headers=JSON if headers is None else headers
        ) as response,
    ):
        body = await response.json()
        error = body.get("error", {"message": "", "param": None, "code": None})
        if error["message"]:
            assert error["type"] == "invalid_request_error"
        return Answer(response.status, error["message"], error["param"], error["code"])


async def ask(serve: Serve, **keys: object) -> Answer:
    return await post(serve, json.dumps({"messages": [HI], **keys}).encode())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"messages": [{"role": "user", "content": "Hi"}]',
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "a\x00b"}]}',
        b'{"messages":' + b"[" * 100_000,
    ],
)
async def test_bytes_that_are_no_json_are_refused_with_a_reason(serve: Serve, raw: bytes) -> None:
    answer = await post(serve, raw)
    assert answer.status == 400
    assert answer.message.startswith("The body is not valid JSON in UTF-8: ")


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [HI, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a\x00"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a\x1b[0m"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content",
        ),
        ({"messages": [{**HI, "tool_calls": [{}]}]}, "messages[0].tool_calls"),
        ({"model": 5}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"seed": 2**80}, "seed"),
        ({"frequency_penalty": 3}, "frequency_penalty"),
        ({"presence_penalty": -3}, "presence_penalty"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"user": "x" * 600}, "user"),
    ],
)
async def test_a_wrong_value_is_named(serve: Serve, keys: dict[str, object], param: str) -> None:
    answer = await ask(serve, **keys)
    assert (answer.status, answer.param) == (400, param)
    assert param in answer.message


@pytest.mark.parametrize("key", sorted(NEUTRAL))
async def test_a_key_that_parley_does_not_have_is_refused_by_name(serve: Serve, key: str) -> None:
    answer = await ask(serve, **{key: {"something": "else"}})
    assert (answer.status, answer.param) == (400, key)
    assert answer.message.startswith(f"{key} is not supported")


@pytest.mark.parametrize(
    "keys",
    [
        {"n": 1, "logprobs": False, "tools": [], "logit_bias": {}},
        {"response_format": {"type": "text"}, "tool_choice": "none", "top_logprobs": 0},
        {"n": None, "tools": None, "stop": None, "max_tokens": None, "temperature": None},
        {"metadata": {"a": "b"}, "store": True, "something_new": [1, 2]},
    ],
)
async def test_a_key_that_changes_nothing_is_accepted(
    serve: Serve, keys: dict[str, object]
) -> None:
    assert (await ask(serve, **keys)).status == 200


@pytest.mark.parametrize("value", [2, True, "1"])
async def test_only_one_answer_can_be_asked_for(serve: Serve, value: object) -> None:
    assert (await ask(serve, n=value)).param == "n"


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}],
)
async def test_a_body_that_a_web_form_could_send_is_refused(
    serve: Serve, headers: dict[str, str]
) -> None:
    answer = await post(serve, json.dumps({"messages": [HI]}).encode(), headers)
    assert answer.status == 415
    assert "application/json" in answer.message


async def test_a_body_with_a_charset_is_json_too(serve: Serve) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await post(serve, json.dumps({"messages": [HI]}).encode(), headers)).status == 200


@pytest.mark.parametrize("name", ["x" * 300, "a\tb"])
async def test_a_thread_name_is_short_and_printable(serve: Serve, name: str) -> None:
    headers = {**JSON, "X-Parley-Thread": name}
    answer = await post(serve, json.dumps({"messages": [HI]}).encode(), headers)
    assert (answer.status, answer.param) == (400, "X-Parley-Thread")


async def test_a_megabyte_of_text_is_told_how_much_fits(serve: Serve) -> None:
    raw = json.dumps({"messages": [{"role": "user", "content": "word " * 200_000}]}).encode()
    conversations = FakeConversations(refusal=PromptTooLong(200_001, 8192))
    answer = await post(serve, raw, conversations=conversations)
    assert (answer.status, answer.code) == (400, "context_length_exceeded")
    assert "8,192 fit" in answer.message


async def test_a_body_beyond_all_measure_is_not_read(serve: Serve) -> None:
    answer = await post(serve, b'"' + b"x" * (5 * 1024 * 1024) + b'"')
    assert answer.status == 413
    assert "4,194,304 bytes" in answer.message
