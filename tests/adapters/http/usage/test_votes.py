"""Votes of people who use a program, as its page sends them."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from openai.types.chat import ChatCompletionMessageParam

from bot.errors import UnknownAnswer
from bot.server import Server
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.fakes.conversations import FakeConversations

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]


async def vote(
    server: Server, body: object, content_type: str = "application/json"
) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, str) else json.dumps(body)
    headers = {"Content-Type": content_type}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/votes", data=data, headers=headers) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize("rating", [1, -1, 0])
async def test_a_vote_on_an_answer_is_kept(serve: Serve, connect: Connect, rating: int) -> None:
    conversations = FakeConversations()
    server = await serve(conversations)
    answer = await connect(server).chat.completions.create(model=MODEL, messages=HI)
    asked = {"id": answer.id, "rating": rating}
    assert await vote(server, asked) == (200, asked)
    assert conversations.votes == [("local", answer.id, rating)]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_usage_log_knows_an_answer_by_the_id_that_its_program_was_told(
    serve: Serve, connect: Connect, *, stream: bool
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    if stream:
        chunks = await client.chat.completions.create(model=MODEL, messages=HI, stream=True)
        told = {chunk.id async for chunk in chunks}
    else:
        told = {(await client.chat.completions.create(model=MODEL, messages=HI)).id}
    (asked,) = conversations.requests
    assert {asked.answer_id} == told
    assert asked.route == "/v1/chat/completions"


async def test_an_answer_that_was_never_given_is_a_404_in_one_sentence(serve: Serve) -> None:
    server = await serve(FakeConversations(refusal=UnknownAnswer("chatcmpl-0")))
    status, body = await vote(server, {"id": "chatcmpl-0", "rating": 1})
    assert (status, body["error"]["code"]) == (404, "not_found")
    sentence = "There is no answer 'chatcmpl-0' that was given to this key."
    assert body["error"]["message"] == sentence


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"id": "a", "rating": 2}, "rating"),
        ({"id": "a", "rating": 0.5}, "rating"),
        ({"id": "a", "rating": "1"}, "rating"),
        ({"id": "a", "rating": True}, "rating"),
        ({"id": "a", "rating": None}, "rating"),
        ({"id": "a"}, "rating"),
        ({"rating": 1}, "id"),
        ({"id": "", "rating": 1}, "id"),
        ({"id": "a" * 129, "rating": 1}, "id"),
        ({"id": 7, "rating": 1}, "id"),
        ([], None),
        ("", None),
        ("{", None),
    ],
)
async def test_what_is_no_vote_is_refused_by_name(
    serve: Serve, body: object, param: str | None
) -> None:
    conversations = FakeConversations()
    status, answer = await vote(await serve(conversations), body)
    assert (status, answer["error"]["param"]) == (400, param)
    assert conversations.votes == []


async def test_a_form_of_another_site_is_no_vote(serve: Serve) -> None:
    conversations = FakeConversations()
    status, _ = await vote(await serve(conversations), '{"id": "a", "rating": 1}', "text/plain")
    assert status == 415
    assert conversations.votes == []
