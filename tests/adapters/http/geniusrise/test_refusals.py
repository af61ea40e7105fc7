"""What Geniusrise's clients are told when there is no answer, and who may ask at all."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest

from bot.errors import EngineFailed, OverLimit, ParleyError, PromptTooLong
from bot.generation import Delta, Queued
from bot.server import Server
from tests.adapters.http.geniusrise.conftest import PAGES_ORIGIN
from tests.adapters.http.geniusrise.page import Page
from tests.fakes.conversations import FakeConversations

HI = {"role": "user", "content": "Hi"}
JSON = {"Content-Type": "application/json"}
PATHS = ("chat", "chat_vllm", "completions", "chat_llama_cpp", "completion")


@pytest.mark.parametrize(
    ("keys", "beginning"),
    [
        ({}, "messages: "),
        ({"messages": []}, "messages: "),
        ({"messages": "Hi"}, "messages: "),
        ({"messages": ["Hi"]}, "messages[0]: Input should be an object."),
        ({"messages": [HI], "response_format": 5}, "response_format: Input should be an object."),
        ({"messages": [HI, {"role": "user"}]}, "messages[1].content: "),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content: "),
        ({"messages": [{"role": "user", "content": "a\x00"}]}, "messages[0].content: "),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role: "),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role: "),
        ({"messages": [HI], "temperature": 2.1}, "temperature: "),
        ({"messages": [HI], "temperature": "hot"}, "temperature: "),
        ({"messages": [HI], "top_p": 7}, "top_p: "),
        ({"messages": [HI], "top_k": -2}, "top_k: "),
        ({"messages": [HI], "max_tokens": "many"}, "max_tokens: "),
        ({"messages": [HI], "max_tokens": 1.5}, "max_tokens: "),
        ({"messages": [HI], "max_tokens": False}, "max_tokens: "),
        ({"messages": [HI], "n": 0}, "n: "),
        ({"messages": [HI], "n": 17}, "n: "),
        ({"messages": [HI], "stop": ["a", 5]}, "stop[1]: "),
        ({"messages": [HI], "logit_bias": {"dog": 101}}, "logit_bias: "),
        ({"messages": [HI], "model": ["a"]}, "model: "),
        ({"messages": [HI], "user": "x" * 513}, "user: "),
        ({"messages": [HI], "repeat_penalty": 1, "repetition_penalty": 2}, "repeat_penalty and "),
        ({"messages": [HI], "use_beam_search": True}, "use_beam_search is not supported"),
        ({"messages": [HI], "best_of": 3}, "best_of is not supported"),
        ({"messages": [HI], "ignore_eos": True}, "ignore_eos is not supported"),
        ({"messages": [HI], "tfs_z": 0.9}, "tfs_z is not supported"),
        ({"messages": [HI], "logits_processor": ["x"]}, "logits_processor is not supported"),
        ({"messages": [HI], "echo": True}, "echo is not supported"),
        ({"prompt": 5}, "prompt: "),
        ({"prompt": ["a", 5]}, "prompt: "),
        ({"prompt": "a", "suffix": 5}, "suffix: "),
        ({"prompt": "a", "echo": "loud"}, "echo: "),
        ({"prompt": "a", "temperature": 3}, "temperature: "),
        ({"prompt": "a", "logprobs": 6}, "logprobs: "),
        ({"prompt": "a", "tfs_z": 0.9}, "tfs_z is not supported"),
    ],
)
async def test_an_exception_is_one_sentence_that_names_the_key(
    server: Server, conversations: FakeConversations, keys: dict[str, Any], beginning: str
) -> None:
    async with Page(server.url) as page:
        error = (await page.post(**keys)).error
    assert error.startswith(beginning)
    assert error.endswith(".")
    assert "\n" not in error
    assert conversations.requests == []


@pytest.mark.parametrize(
    ("keys", "beginning"),
    [
        ({}, "user_prompt: "),
        ({"messages": [HI]}, "user_prompt: "),
        ({"user_prompt": 5}, "user_prompt: "),
        ({"user_prompt": "a\x1b[0m"}, "user_prompt: "),
        ({"prompt": ["Hi"]}, "prompt: "),
        ({"prompt": "a", "user_prompt": "b"}, "user_prompt and prompt contradict"),
        ({"user_prompt": "a", "system_prompt": {}}, "system_prompt: "),
        ({"user_prompt": "a", "max_tokens": "many"}, "max_tokens: "),
    ],
)
async def test_a_wrong_prompt_is_named_too(
    server: Server, keys: dict[str, Any], beginning: str
) -> None:
    async with Page(server.url, "chat") as page:
        assert (await page.post(**keys)).error.startswith(beginning)


@pytest.mark.parametrize("raw", [b"[]", b'"Hi"', b"null", b"5"])
@pytest.mark.parametrize("path", PATHS)
async def test_json_that_is_no_object_is_an_exception(
    server: Server, path: str, raw: bytes
) -> None:
    async with Page(server.url, path) as page:
        told = await page.call(data=raw, headers=JSON)
    assert told.error == "The body must be a JSON object."


@pytest.mark.parametrize(
    ("raw", "headers", "status"),
    [
        (b"", JSON, "400 Bad Request"),
        (b"{", JSON, "400 Bad Request"),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', JSON, "400 Bad Request"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', JSON, "400 Bad Request"),
        (b'{"temperature": NaN}', JSON, "400 Bad Request"),
        (b'{"messages":' + b"[" * 100_000, JSON, "400 Bad Request"),
        (b"user_prompt=Hi", {"Content-Type": "text/plain"}, "415 Unsupported Media Type"),
        (b" " * 5_000_000, JSON, "413 Request Entity Too Large"),
    ],
)
async def test_the_framework_refuses_what_is_no_json_in_its_own_shape(
    server: Server, raw: bytes, headers: dict[str, str], status: str
) -> None:
    async with Page(server.url) as page:
        told = await page.call(data=io.BytesIO(raw), headers=headers)
    assert told.body.keys() == {"status", "message"}
    assert told.body["status"] == status
    assert told.status == int(status[:3])
    assert "\n" not in told.body["message"]


@pytest.mark.parametrize("path", [*PATHS, "nothing"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_post_is_taken(server: Server, path: str, method: str) -> None:
    async with Page(server.url, path) as page:
        told = await page.call(method)
    if path == "nothing":
        assert told.body["status"] == "404 Not Found"
    else:
        assert (told.status, told.body["status"]) == (405, "405 Method Not Allowed")
        assert told.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("refusal", "retry_after"),
    [
        (PromptTooLong(9_000, 4_095), None),
        (OverLimit("You ask too fast.", retry_after=2.4), "3"),
        (EngineFailed("The model is not running. Please ask again in a minute."), None),
    ],
)
async def test_a_refusal_of_the_engine_is_an_exception_that_says_when_to_come_back(
    server: Server,
    conversations: FakeConversations,
    refusal: ParleyError,
    retry_after: str | None,
) -> None:
    conversations.refusal = refusal
    async with Page(server.url) as page:
        told = await page.post(messages=[HI])
    assert told.error == str(refusal)
    assert told.headers.get("Retry-After") == retry_after


async def test_a_failure_inside_is_an_exception_without_a_traceback(
    server: Server, conversations: FakeConversations
) -> None:
    conversations.refusal = RuntimeError("a detail that is nobody's business")
    async with Page(server.url) as page:
        assert (await page.post(messages=[HI])).error == "Parley failed inside; its log says how."


# Who may ask


@pytest.mark.parametrize("login", [None, ("ann", "wrong"), ("bob", "secret"), ("", "")])
@pytest.mark.parametrize("path", [*PATHS, "nothing"])
async def test_a_stranger_is_asked_for_a_password_in_its_realm(
    server: Server, path: str, login: tuple[str, str] | None
) -> None:
    async with Page(server.url, path, login) as page:
        told = await page.post(messages=[HI])
    assert told.status == 401
    assert told.body["status"] == "401 Unauthorized"
    assert told.headers["WWW-Authenticate"] == 'Basic realm="geniusrise", charset="UTF-8"'


async def test_the_other_apis_keep_their_own_realm_and_shape(server: Server) -> None:
    async with aiohttp.ClientSession(server.url) as session, session.get("/v1/models") as answer:
        assert answer.status == 401
        assert answer.headers.getall("WWW-Authenticate")[1].startswith('Basic realm="Parley"')
        assert (await answer.json())["error"]["code"] == "invalid_api_key"


async def test_options_is_answered_to_everybody(server: Server) -> None:
    async with Page(server.url, login=None) as page:
        told = await page.call("OPTIONS")
    assert (told.status, told.headers["Allow"]) == (200, "POST, OPTIONS")


async def test_a_listed_page_may_send_the_password_that_its_browser_keeps(server: Server) -> None:
    asks = {
        "Origin": PAGES_ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with Page(server.url, login=None) as page:
        before = await page.call("OPTIONS", headers=asks)
        refused = await page.call(json={}, headers={"Origin": PAGES_ORIGIN})
    async with Page(server.url) as page:
        told = await page.call(json={"messages": [HI]}, headers={"Origin": PAGES_ORIGIN})
    assert (before.status, refused.status, told.status) == (200, 401, 200)
    assert "authorization" in before.headers["Access-Control-Allow-Headers"]
    assert "POST" in before.headers["Access-Control-Allow-Methods"]
    for each in (before, refused, told):
        assert each.headers["Access-Control-Allow-Origin"] == PAGES_ORIGIN
        assert each.headers["Access-Control-Allow-Credentials"] == "true"


async def test_a_page_without_an_origin_may_not_use_a_password_that_a_browser_keeps(
    server: Server,
) -> None:
    async with Page(server.url) as page:
        told = await page.call(json={"messages": [HI]}, headers={"Origin": "null"})
    assert told.headers["Access-Control-Allow-Origin"] == "null"
    assert "Access-Control-Allow-Credentials" not in told.headers


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_a_page_of_another_site_is_refused_by_the_framework(
    server: Server, method: str
) -> None:
    async with Page(server.url) as page:
        told = await page.call(method, json={}, headers={"Origin": "https://evil.example"})
    assert told.body["status"] == "403 Forbidden"
    assert "Access-Control-Allow-Origin" not in told.headers


# Who hangs up


def request(path: str, *, accept: str = "*/*", cut: int = 0) -> bytes:
    body = json.dumps({"messages": [HI], "user_prompt": "Hi", "stream": True}).encode()
    head = (
        f"POST /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n"
        "Authorization: Basic YW5uOnNlY3JldA==\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body[: len(body) - cut]


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
@pytest.mark.parametrize("script", [(), (Queued(3),), (Delta("Hel"),)])
@pytest.mark.parametrize("path", ["chat", "chat_llama_cpp"])
async def test_a_client_that_hangs_up_frees_its_place(
    server: Server, conversations: FakeConversations, path: str, script: Any, accept: str
) -> None:
    """At once, in the queue and within its answer, whether it is streamed or not."""
    conversations.script = script
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(path, accept=accept))
    generation = await conversations.begun()
    writer.transport.abort()
    await asyncio.wait_for(generation.cancelled.wait(), 5)


async def test_a_client_that_hangs_up_within_its_question_asks_nothing(
    server: Server, conversations: FakeConversations
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("chat", cut=5))
    await writer.drain()
    writer.transport.abort()
    async with Page(server.url) as page:
        await page.post(messages=[HI])
    assert len(conversations.requests) == 1
