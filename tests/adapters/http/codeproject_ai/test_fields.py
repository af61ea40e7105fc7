"""In how many ways the same thing is asked, and what becomes of what nobody can read."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from bot.generation import ChatMessage, CompletionRequest
from tests.adapters.http.codeproject_ai.client import (
    CANCEL,
    CHAT,
    STATUS,
    polling_client,
)
from tests.adapters.http.conftest import Serve
from tests.fakes.conversations import FakeConversations

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def multipart(text: str) -> dict[str, Any]:
    headers = {"Content-Type": 'multipart/form-data; boundary="=_a b"'}
    return {"headers": headers, "data": text.replace("\n", "\r\n").encode()}


def listed(*pairs: tuple[str, object]) -> str:
    values = [{"key": key, "value": value} for key, value in pairs]
    return json.dumps({"values": values, "files": []})


async def asked(serve: Serve, **request: Any) -> CompletionRequest:
    """What reaches the engine."""
    conversations = FakeConversations()
    async with polling_client(await serve(conversations)) as client:
        assert (await client.post(CHAT, **request))["success"]
    (found,) = conversations.requests
    return found


WAYS: dict[str, dict[str, Any]] = {
    "query": {"params": {"prompt": "Hi ü", "max_tokens": "9"}},
    "urlencoded": {"data": {"prompt": "Hi ü", "max_tokens": "9"}},
    "multipart": multipart(
        '--=_a b\nContent-Disposition: form-data; name="prompt"\n\nHi ü\n'
        '--=_a b\nContent-Disposition: form-data; name="max_tokens"\n\n9\n--=_a b--\n'
    ),
    "values": {"data": listed(("prompt", ["Hi ü"]), ("max_tokens", ["9"])), "headers": JSON},
    "values without lists": {"data": listed(("prompt", "Hi ü"), ("max_tokens", 9))},
    "json": {"json": {"prompt": "Hi ü", "max_tokens": 9}},
    "json as text": {"json": {"prompt": ["Hi ü"], "max_tokens": "9"}},
    "json with a mark": {"data": b'\xef\xbb\xbf {"prompt": "Hi \\u00fc", "max_tokens": 9.0}'},
    "json under another name": {"data": '{"prompt": "Hi ü", "max_tokens": 9}', "headers": FORM},
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_send_fields_asks_the_same(serve: Serve, way: str) -> None:
    request = await asked(serve, **WAYS[way])
    assert request.messages == (ChatMessage("user", "Hi ü"),)
    assert request.max_tokens == 9
    assert request.sampling == {"temperature": 0.4}
    assert request.account == "local"


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"prompt": "body", "system_prompt": "Be kind."}},
        {"json": {"prompt": "body", "system_prompt": "Be kind."}},
        multipart(
            '--=_a b\nContent-Disposition: form-data; name="prompt"\n\nbody\n--=_a b\n'
            'Content-Disposition: form-data; name="system_prompt"\n\nBe kind.\n--=_a b--\n'
        ),
    ],
)
async def test_the_query_counts_before_the_body(serve: Serve, body: dict[str, Any]) -> None:
    request = await asked(serve, params={"prompt": "query"}, **body)
    assert request.messages == (ChatMessage("system", "Be kind."), ChatMessage("user", "query"))


@pytest.mark.parametrize(
    "twice",
    [
        {"params": [("prompt", "first"), ("prompt", "second")]},
        {"data": [("prompt", "first"), ("prompt", "second")]},
        {"data": listed(("prompt", ["first", "second"]), ("prompt", ["third"]))},
        {"json": {"values": [{"key": "prompt", "value": ["first"]}], "prompt": "second"}},
    ],
)
async def test_of_a_field_that_is_given_twice_the_first_counts(
    serve: Serve, twice: dict[str, Any]
) -> None:
    assert (await asked(serve, **twice)).messages[-1].content == "first"


NO_NUMBERS: tuple[object, ...] = (None, [], {}, [None], {"a": 1}, 0, -1)


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        *(("12", 12), (" 12 ", 12), ("12.7", 12), ("1e2", 100)),
        *((value, None) for value in ("0", "", "-5", "many", "nan", "inf", "12 tokens", "0.5")),
        *((value, None) for value in NO_NUMBERS),
        *((True, None), (12, 12), ([12], 12), (10**400, None)),
    ],
)
async def test_a_number_of_tokens_that_cannot_be_read_is_the_default(
    serve: Serve, given: object, tokens: int | None
) -> None:
    request = await asked(serve, json={"prompt": "Hi", "max_tokens": given})
    assert request.max_tokens == tokens


@pytest.mark.parametrize(
    ("given", "temperature"),
    [
        *(("0", 0.0), ("1.5", 1.5), (0.2, 0.2), ("-1", 0.0), ("7", 2.0)),
        *((value, 0.4) for value in ("hot", "", "nan", "-inf", "0,7", *NO_NUMBERS[:5])),
    ],
)
async def test_a_temperature_that_cannot_be_read_is_the_default(
    serve: Serve, given: object, temperature: float
) -> None:
    request = await asked(serve, json={"prompt": "Hi", "temperature": given})
    assert request.sampling == {"temperature": temperature}


@pytest.mark.parametrize(
    "nothing",
    [
        *({}, {"data": b""}, {"json": {}}, {"json": {"prompt": None}}, {"json": {"values": 5}}),
        *({"json": {"values": [5, {}, {"key": 1, "value": "x"}]}}, {"data": {"prompt": ""}}),
        *({"data": b"What?", "headers": {"Content-Type": "text/plain"}}, {"params": {"a": "b"}}),
        multipart("no form at all"),
        multipart("--=_a b\n\nnameless\n--=_a b--\n"),
        multipart(
            '--=_a b\nContent-Disposition: form-data; name="prompt"; filename="a.txt"\n\n'
            "A file\n--=_a b--\n"
        ),
        multipart('--=_a b\nContent-Disposition: form-data; name="prompt"\n\ncut o'),
    ],
)
async def test_without_a_prompt_an_empty_one_is_asked(
    serve: Serve, nothing: dict[str, Any]
) -> None:
    request = await asked(serve, **nothing)
    assert request.messages == (ChatMessage("user", ""),)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"data": b'{"prompt": "Hi"'}, "The body is not valid JSON in UTF-8."),
        ({"data": b'{"prompt": "\xff"}'}, "The body is not valid JSON in UTF-8."),
        ({"data": b'{"prompt": "\\ud800"}'}, "The body is not valid JSON in UTF-8."),
        ({"data": b"prompt=Hi", "headers": JSON}, "The body is not valid JSON in UTF-8."),
        ({"data": b'"Hi"', "headers": JSON}, "The body must be a JSON object."),
        ({"data": b"[" * 100_000, "headers": JSON}, "The body is not valid JSON in UTF-8."),
        ({"data": b'["Hi"]', "headers": JSON}, "The body must be a JSON object."),
        ({"data": b"a&" * 200_000, "headers": FORM}, "A form has at most 100 fields."),
        (multipart("--=_a b\n\n\n" * 20_000), "A form has at most 100 fields."),
        (
            {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            "The Content-Type of the form names no boundary.",
        ),
    ],
)
@pytest.mark.parametrize("path", [CHAT, STATUS, CANCEL])
async def test_a_body_that_cannot_be_read_fails_with_a_sentence_and_status_200(
    serve: Serve, request_: dict[str, Any], error: str, path: str
) -> None:
    conversations = FakeConversations()
    async with polling_client(await serve(conversations)) as client:
        answer = await client.post(path, **request_)
    assert (answer["success"], answer["code"], answer["error"]) == (False, 500, error)
    assert conversations.requests == []


SPELLINGS = (
    ("v1/text/chat", "v1/LlamaChat/get_command_status", "v1/LlamaChat/cancel_command"),
    ("v1/Text/Chat", "v1/llamachat/Get_Command_Status", "v1/llamachat/CANCEL_COMMAND"),
    ("V1/TEXT/CHAT", "V1/LLAMACHAT/GET_COMMAND_STATUS", "V1/LLAMA_CHAT/CANCEL_COMMAND"),
    ("v1/text/chat/", "v1/llama_chat/get_command_status", "v1/llama_chat/cancel_command/"),
)


@pytest.mark.parametrize(("chat", "status", "cancel"), SPELLINGS)
async def test_the_paths_may_be_written_in_any_case(
    serve: Serve, chat: str, status: str, cancel: str
) -> None:
    async with polling_client(await serve(FakeConversations(script=()))) as client:
        begun = await client.post(f"../{chat}?prompt=Hi")
        query = {"commandId": begun["commandId"]}
        assert (await client.post(f"../{status}", params=query))["commandStatus"] == "running"
        assert (await client.post(f"../{cancel}", params=query))["commandStatus"] == "cancelled"


@pytest.mark.parametrize(
    "path", ["v1/text", "v1/text/chats", "v1/LlamaChat/get_status", "v1/LlamaChat", "v1/llama-chat"]
)
async def test_any_other_path_is_not_found(serve: Serve, path: str) -> None:
    server = await serve(FakeConversations())
    async with aiohttp.ClientSession(server.url) as session:
        for spelled in (path, path.upper()):
            async with session.post(f"/{spelled}") as response:
                assert response.status == 404
                assert "error" in await response.json()
