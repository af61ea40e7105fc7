"""Replies that continue the assistant's last message, as a program asks for them."""

from __future__ import annotations

import json

import pytest
from openai import BadRequestError
from openai.types.chat import ChatCompletionMessageParam

from bot.generation import Delta, Finished, FinishReason
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.fakes.conversations import FakeConversations

BEGUN: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "I am"},
]
CONTINUES = {"continue_final_message": True, "add_generation_prompt": False}


@pytest.mark.parametrize("keys", [CONTINUES, {"continue_final_message": True}])
async def test_the_reply_continues_the_last_message(
    serve: Serve, connect: Connect, keys: dict[str, object]
) -> None:
    conversations = FakeConversations([Delta(" fine."), Finished(FinishReason.STOP)])
    client = connect(await serve(conversations))
    answer = await client.chat.completions.create(model=MODEL, messages=BEGUN, extra_body=keys)
    assert answer.choices[0].message.content == " fine."
    (request,) = conversations.requests
    assert request.continues
    assert request.messages[-1].content == "I am"


async def test_without_the_key_an_answer_at_the_end_is_a_turn_like_any_other(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    keys = {"continue_final_message": False, "add_generation_prompt": True}
    await client.chat.completions.create(model=MODEL, messages=BEGUN, extra_body=keys)
    (request,) = conversations.requests
    assert not request.continues


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("last", "keys", "param", "word"),
    [
        ({"role": "user", "content": "Hi"}, CONTINUES, "continue_final_message", "assistant"),
        (
            {"role": "assistant", "content": "x", "tool_calls": [CALL]},
            CONTINUES,
            "continue_final_message",
            "that is text",
        ),
        (
            BEGUN[-1],
            {"continue_final_message": True, "add_generation_prompt": True},
            "add_generation_prompt",
            "contradict each other",
        ),
        (BEGUN[-1], {"add_generation_prompt": False}, "add_generation_prompt", "must be true"),
    ],
)
async def test_what_cannot_be_continued_is_refused_in_one_sentence(
    serve: Serve, connect: Connect, last: object, keys: dict[str, object], param: str, word: str
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    messages = json.loads(json.dumps([BEGUN[0], last]))
    with pytest.raises(BadRequestError) as refusal:
        await client.chat.completions.create(model=MODEL, messages=messages, extra_body=keys)
    assert refusal.value.param == param
    assert word in str(refusal.value)
    assert conversations.requests == []
