"""A tokenizer, asked in the manner of llama-server, vLLM and llama_cpp.server."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from bot.errors import NotOffered
from tests.adapters.http.conftest import Serve
from tests.fakes.conversations import FakeConversations
from tests.fakes.model import ANSWER

TOOL = {"type": "function", "function": {"name": "now"}}
BEGIN = ord(ANSWER)
"""The token that the letters' vocabulary puts at every prompt's end."""


async def post(
    serve: Serve, path: str, body: object, conversations: FakeConversations | None = None
) -> tuple[int, Any]:
    server = await serve(conversations or FakeConversations())
    async with aiohttp.ClientSession(server.url) as session, session.post(path, json=body) as got:
        return got.status, await got.json()


TOKENIZED: list[tuple[str, dict[str, object], dict[str, object]]] = [
    ("/tokenize", {"content": "hé"}, {"tokens": [104, 233]}),
    ("/tokenize", {"content": ""}, {"tokens": []}),
    ("/tokenize", {"content": "h", "add_special": True}, {"tokens": [104, BEGIN]}),
    (
        "/tokenize",
        {"content": "h", "with_pieces": True, "model": "smollm2"},
        {"tokens": [{"id": 104, "piece": "h"}]},
    ),
    (
        "/tokenize",
        {"prompt": "hé"},
        {
            "tokens": [104, 233, BEGIN],
            "count": 3,
            "max_model_len": 1_000,
            "token_strs": None,
        },
    ),
    (
        "/tokenize",
        {"prompt": "h", "add_special_tokens": False, "return_token_strs": True},
        {"tokens": [104], "count": 1, "max_model_len": 1_000, "token_strs": ["h"]},
    ),
    (
        "/tokenize",
        {"messages": [{"role": "user", "content": "h"}], "model": "coder"},
        {"tokens": [104, BEGIN], "count": 2, "max_model_len": 1_000, "token_strs": None},
    ),
    ("/detokenize", {"tokens": [104, 233]}, {"content": "hé", "prompt": "hé"}),
    ("/detokenize", {"tokens": [], "model": None}, {"content": "", "prompt": ""}),
    ("/extras/tokenize", {"input": "hé"}, {"tokens": [104, 233, BEGIN]}),
    ("/extras/tokenize/count", {"input": "hé"}, {"count": 3}),
    ("/extras/detokenize", {"tokens": [104, 233, BEGIN]}, {"text": "hé"}),
]


@pytest.mark.parametrize(("path", "body", "answer"), TOKENIZED)
async def test_texts_become_tokens_and_tokens_texts(
    serve: Serve, path: str, body: dict[str, object], answer: dict[str, object]
) -> None:
    assert await post(serve, path, body) == (200, answer)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "content"),
        ("/tokenize", {"content": "a", "prompt": "b"}, "prompt"),
        ("/tokenize", {"content": 5}, "content"),
        ("/tokenize", {"content": "x" * 262_145}, "content"),
        ("/tokenize", {"messages": [{"role": "robot", "content": "h"}]}, "messages[0].role"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": ["h"]}, "tokens[0]"),
        ("/detokenize", {"tokens": [-1]}, "tokens[0]"),
        ("/tokenize", {"messages": [{"role": "user", "content": "h"}], "tools": [TOOL]}, "tools"),
        ("/tokenize", {"prompt": "h", "truncate_prompt_tokens": 1}, "truncate_prompt_tokens"),
        ("/detokenize", {"tokens": [104], "skip_special_tokens": False}, "skip_special_tokens"),
        ("/extras/tokenize", {"content": "h"}, "input"),
        ("/extras/tokenize/count", {"input": "h", "add_special": False}, "add_special"),
        ("/extras/detokenize", {"tokens": "h"}, "tokens"),
    ],
)
async def test_what_cannot_be_tokenized_is_refused_in_the_shape_of_openai(
    serve: Serve, path: str, body: dict[str, object], param: str
) -> None:
    status, answer = await post(serve, path, body)
    assert status == 400
    assert answer["error"]["param"] == param
    assert answer["error"]["type"] == "invalid_request_error"


async def test_an_unknown_model_has_no_tokenizer(serve: Serve) -> None:
    status, answer = await post(serve, "/tokenize", {"content": "h", "model": "nobody"})
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


async def test_an_engine_without_a_tokenizer_says_so(serve: Serve) -> None:
    refusal = NotOffered("This engine does not show its tokens.")
    conversations = FakeConversations(refusal=refusal)
    status, answer = await post(serve, "/tokenize", {"content": "h"}, conversations)
    assert (status, answer["error"]["code"]) == (400, "unsupported")
