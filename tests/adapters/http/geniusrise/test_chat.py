"""What Geniusrise's clients send, and what they are answered."""

from __future__ import annotations

from typing import Any

import pytest

from bot.generation import ChatMessage, RawPrompt
from bot.server import Server
from tests.adapters.http.conftest import MODEL
from tests.adapters.http.geniusrise.page import Page
from tests.fakes.conversations import FakeConversations

HI = {"role": "user", "content": "Hi"}
CHATS = ("chat_vllm", "completions", "chat_llama_cpp", "completion")


async def test_a_page_that_sends_all_messages_at_every_turn_has_a_conversation(
    server: Server, conversations: FakeConversations
) -> None:
    async with Page(server.url) as page:
        assert await page.say("Hi") == "Hello there"
        assert await page.say("And you?") == "Hello there"
    assert conversations.requests[-1].account == "ann"
    assert conversations.requests[-1].messages == (
        ChatMessage("user", "Hi"),
        ChatMessage("assistant", "Hello there"),
        ChatMessage("user", "And you?"),
    )


@pytest.mark.parametrize("runtime", CHATS)
async def test_every_route_of_a_chat_answers_in_openais_shape(server: Server, runtime: str) -> None:
    async with Page(server.url, runtime) as page:
        told = await page.post(messages=[HI])
    assert told.status == 200
    assert told.body["object"] == "chat.completion"
    assert told.body["model"] == MODEL
    assert told.body["choices"][0]["finish_reason"] == "stop"
    assert told.body["usage"]["total_tokens"] == 11


VLLM = {"temperature": 0.7, "top_p": 1, "top_k": 0, "min_p": 0, "repeat_penalty": 1}
LLAMA_CPP = {
    "temperature": 0.2,
    "top_p": 0.95,
    "top_k": 40,
    "min_p": 0.05,
    "typical_p": 1,
    "repeat_penalty": 1.1,
}


@pytest.mark.parametrize(
    ("runtime", "sampling"),
    [*[(name, VLLM) for name in CHATS[:2]], *[(name, LLAMA_CPP) for name in CHATS[2:]]],
)
async def test_what_is_not_set_is_as_in_its_runtime_and_only_the_window_bounds_the_answer(
    server: Server, conversations: FakeConversations, runtime: str, sampling: dict[str, float]
) -> None:
    async with Page(server.url, runtime) as page:
        await page.post(messages=[HI])
        for unlimited in (-1, 0, "-1", 0.0):
            await page.post(messages=[HI], max_tokens=unlimited, temperature=None)
    assert len(conversations.requests) == 5
    for asked in conversations.requests:
        assert asked.default_sampling == sampling
        assert asked.sampling == {}
        assert asked.max_tokens == 2**31 - 1


async def test_the_chat_of_the_pipeline_goes_by_parleys_own_defaults(
    server: Server, conversations: FakeConversations
) -> None:
    async with Page(server.url, "chat") as page:
        await page.post(user_prompt="Hi")
    (asked,) = conversations.requests
    assert (asked.default_sampling, asked.max_tokens) == ({}, None)


async def test_everything_that_vllm_was_asked_for_is_honoured(
    server: Server, conversations: FakeConversations
) -> None:
    documented: dict[str, Any] = {
        "messages": [{"role": "system", "content": "Be brief."}, HI],
        "temperature": 0.9,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.1,
        "n": 2,
        "max_tokens": 50,
        "stop": ["END"],
        "stream": False,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repetition_penalty": 1.2,
        "logit_bias": {},
        "user": "example_user",
        "best_of": None,
        "use_beam_search": False,
        "ignore_eos": False,
        "stop_token_ids": [],
        "skip_special_tokens": True,
        "spaces_between_special_tokens": True,
        "add_generation_prompt": True,
        "echo": False,
        "include_stop_str_in_output": False,
        "length_penalty": 1.0,
    }
    async with Page(server.url, "chat_vllm") as page:
        told = await page.post(**documented)
    assert [choice["index"] for choice in told.body["choices"]] == [0, 1]
    asked = conversations.requests[0]
    assert asked.messages == (ChatMessage("system", "Be brief."), ChatMessage("user", "Hi"))
    assert asked.sampling == {
        "temperature": 0.9,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repeat_penalty": 1.2,
    }
    assert (asked.user, asked.max_tokens, asked.stop) == ("example_user", 50, ("END",))


async def test_everything_that_llama_cpp_was_asked_for_is_honoured(
    server: Server, conversations: FakeConversations
) -> None:
    sampling: dict[str, Any] = {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "typical_p": 0.9,
        "repeat_penalty": 1.2,
        "mirostat_tau": 4.0,
        "mirostat_eta": 0.2,
        "seed": 7,
    }
    unused = dict.fromkeys(("functions", "function_call", "tools", "tool_choice", "grammar"))
    async with Page(server.url) as page:
        await page.post(
            messages=[HI],
            **sampling,
            **unused,
            mirostat_mode=2,
            tfs_z=1.0,
            logits_processor=None,
            logprobs=True,
            top_logprobs=2,
            response_format={"type": "json_object"},
        )
    (asked,) = conversations.requests
    assert asked.sampling == {**sampling, "mirostat": 2}
    assert asked.num_logprobs == 2
    assert asked.answer_format is not None


async def test_numbers_may_be_texts_and_unknown_keys_are_ignored(
    server: Server, conversations: FakeConversations
) -> None:
    async with Page(server.url) as page:
        told = await page.post(
            messages=[HI], temperature="0.5", max_tokens="9", top_k=3.0, wings=2, decoding="greedy"
        )
    assert told.status == 200
    (asked,) = conversations.requests
    assert (asked.sampling, asked.max_tokens) == ({"temperature": 0.5, "top_k": 3}, 9)


@pytest.mark.parametrize(
    ("named", "personality"),
    [(None, None), (MODEL, None), ("mistral-7b-instruct", None), ("coder", "coder")],
)
async def test_a_model_need_not_be_named_and_any_name_is_answered(
    server: Server, conversations: FakeConversations, named: str | None, personality: str | None
) -> None:
    async with Page(server.url) as page:
        told = await page.post(messages=[HI], model=named)
    assert told.body["model"] == (personality or MODEL)
    assert conversations.requests[0].personality == personality


async def test_only_the_replies_of_a_page_are_read_as_the_assistants(
    server: Server, conversations: FakeConversations
) -> None:
    def said(*turns: str) -> list[dict[str, str]]:
        return [dict(zip(("role", "content"), turn.split(": "), strict=True)) for turn in turns]

    async with Page(server.url) as page:
        await page.post(messages=said("system: a", "system: b", "user: c", "system: d", "user: e"))
    (asked,) = conversations.requests
    roles = [message.role for message in asked.messages]
    assert roles == ["system", "system", "user", "assistant", "user"]


async def test_a_systems_last_word_after_a_question_is_the_beginning_of_the_answer(
    server: Server, conversations: FakeConversations
) -> None:
    begun = {"role": "system", "content": "The capital of France is"}
    async with Page(server.url) as page:
        await page.post(messages=[HI, begun])
        await page.post(messages=[HI, begun], add_generation_prompt=True)
        await page.post(messages=[begun])
    first, second, alone = conversations.requests
    for asked in (first, second):
        assert asked.messages[-1] == ChatMessage("assistant", "The capital of France is")
        assert asked.continues
    assert alone.messages == (ChatMessage("system", "The capital of France is"),)
    assert not alone.continues


LLAMA_CPP_ROUTES = ("chat_llama_cpp", "completion")


@pytest.mark.parametrize("runtime", LLAMA_CPP_ROUTES)
async def test_a_prompt_without_messages_is_continued_as_it_is(
    server: Server, conversations: FakeConversations, runtime: str
) -> None:
    async with Page(server.url, runtime) as page:
        told = await page.post(prompt="Once upon a time", echo=False, suffix=None)
    assert told.body["object"] == "text_completion"
    assert told.body["choices"][0]["text"] == "Hello there"
    assert told.body["choices"][0]["finish_reason"] == "stop"
    (asked,) = conversations.requests
    assert asked.prompts == (RawPrompt("Once upon a time"),)
    assert asked.default_sampling == {**LLAMA_CPP, "temperature": 0.8}
    assert (asked.sampling, asked.max_tokens) == ({}, 16)


async def test_everything_that_a_continued_prompt_was_asked_for_is_honoured(
    server: Server, conversations: FakeConversations
) -> None:
    async with Page(server.url) as page:
        told = await page.post(
            prompt="def f(", suffix="return x", echo=True, max_tokens="9", temperature=0, stop=["#"]
        )
        await page.post(prompt="Once", max_tokens=-1)
    assert told.body["choices"][0]["text"] == "def f(Hello there"
    first, second = conversations.requests
    assert first.prompts == (RawPrompt("def f(", suffix="return x"),)
    assert (first.max_tokens, first.stop, first.sampling) == (9, ("#",), {"temperature": 0})
    assert second.max_tokens == 2**31 - 1


async def test_messages_come_before_a_prompt(
    server: Server, conversations: FakeConversations
) -> None:
    async with Page(server.url) as page:
        told = await page.post(messages=[HI], prompt="Once upon a time")
    assert told.body["object"] == "chat.completion"
    assert conversations.requests[0].prompts == ()


async def test_a_continued_prompt_is_streamed_as_a_chat_is(server: Server) -> None:
    asked = {"prompt": "Once", "stream": True}
    async with Page(server.url) as page:
        whole = await page.call(json=asked)
        streamed = await page.call(json=asked, headers={"Accept": "text/event-stream"})
    assert whole.body["object"] == "text_completion"
    assert '"text_completion"' in streamed.body
    assert streamed.body.endswith("data: [DONE]\n\n")


async def test_a_prompt_gets_its_result_with_what_was_sent(
    server: Server, conversations: FakeConversations
) -> None:
    async with Page(server.url, "chat") as page:
        told = await page.post(user_prompt="Hi", system_prompt="Be brief.", max_tokens=9)
        bare = await page.post(user_prompt="Hi", n=3)
    assert told.body == {
        "user_prompt": "Hi",
        "system_prompt": "Be brief.",
        "result": "Hello there",
    }
    assert bare.body["system_prompt"] is None
    first, second = conversations.requests
    assert first.messages == (ChatMessage("system", "Be brief."), ChatMessage("user", "Hi"))
    assert (first.max_tokens, second.messages) == (9, (ChatMessage("user", "Hi"),))


async def test_a_prompt_under_its_documented_name_gets_openais_shape_too(server: Server) -> None:
    async with Page(server.url, "chat") as page:
        told = await page.post(prompt="Hi")
    assert told.body["result"] == "Hello there"
    assert told.body["choices"][0]["message"]["content"] == "Hello there"


@pytest.mark.parametrize("runtime", ["chat", *CHATS])
async def test_only_a_client_that_takes_events_gets_a_stream(server: Server, runtime: str) -> None:
    asked = {"messages": [HI], "user_prompt": "Hi", "stream": True}
    async with Page(server.url, runtime) as page:
        whole = await page.call(json=asked)
        streamed = await page.call(json=asked, headers={"Accept": "text/event-stream, */*"})
        not_asked = await page.call(
            json={**asked, "stream": False}, headers={"Accept": "text/event-stream"}
        )
    assert "Hello there" in str(whole.body)
    assert "Hello there" in str(not_asked.body)
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert streamed.body.startswith("data: {")
    assert streamed.body.endswith("data: [DONE]\n\n")
