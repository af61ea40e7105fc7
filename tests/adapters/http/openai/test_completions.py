"""The older completions, as programs ask for them through the official client."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from openai.types import Completion

from bot.answer_formats import JsonObject
from bot.errors import EngineFailed, PromptTooLong, QueueFull, UnsupportedOption
from bot.generation import CompletionRequest, Delta, Finished, FinishReason, RawPrompt, TokenLogprob
from tests.adapters.http.conftest import MODEL, Connect, Serve
from tests.fakes.conversations import USAGE, FakeConversations

ONCE: tuple[Delta | Finished, ...] = (
    Delta(" upon"),
    Delta(" a time"),
    Finished(FinishReason.LENGTH, USAGE),
)


async def asked(serve: Serve, connect: Connect, **keys: Any) -> CompletionRequest:
    """What reaches the engine."""
    conversations = FakeConversations(ONCE)
    client = connect(await serve(conversations))
    await client.completions.create(**{"model": MODEL, "prompt": "Once", **keys})
    return conversations.requests[0]


async def test_a_text_is_continued_with_its_usage(serve: Serve, connect: Connect) -> None:
    conversations = FakeConversations(ONCE)
    client = connect(await serve(conversations))
    answer = await client.completions.create(model=MODEL, prompt="Once")
    assert (answer.object, answer.model) == ("text_completion", MODEL)
    assert answer.id.startswith("cmpl-")
    (choice,) = answer.choices
    assert (choice.index, choice.text, choice.finish_reason) == (0, " upon a time", "length")
    assert choice.logprobs is None
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 2)
    (request,) = conversations.requests
    assert request.prompts == (RawPrompt("Once"),)
    assert request.messages == ()
    assert request.max_tokens == 16
    assert request.answer_id == answer.id


async def test_the_blocking_client_is_answered_too(serve: Serve) -> None:
    server = await serve(FakeConversations(ONCE))

    def ask() -> list[str]:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            whole = client.completions.create(model=MODEL, prompt="Once", echo=True)
            stream = client.completions.create(model=MODEL, prompt="Once", stream=True)
            return [whole.choices[0].text, "".join(part.choices[0].text for part in stream)]

    assert await asyncio.to_thread(ask) == ["Once upon a time", " upon a time"]


async def test_a_stream_grows_and_ends_with_its_reason_and_usage(
    serve: Serve, connect: Connect
) -> None:
    conversations = FakeConversations([Delta(" upon")])
    client = connect(await serve(conversations))
    stream = await client.completions.create(
        model=MODEL, prompt="Once", stream=True, stream_options={"include_usage": True}, echo=True
    )
    first = await anext(stream)
    assert first.choices[0].text == "Once upon"
    (await conversations.begun()).say(Delta(" a"), Finished(FinishReason.STOP, USAGE))
    *rest, last = [part async for part in stream]
    assert "".join(part.choices[0].text for part in rest) == " a"
    assert rest[-1].choices[0].finish_reason == "stop"
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 11
    assert {part.id for part in rest} == {first.id}


PROMPTS = [
    ("Once", [RawPrompt("Once")]),
    ("", [RawPrompt("")]),
    (["Once", "Twice"], [RawPrompt("Once"), RawPrompt("Twice")]),
    ([79, 110], [RawPrompt((79, 110))]),
    ([[79], [110, 99]], [RawPrompt((79,)), RawPrompt((110, 99))]),
    ("<|im_start|>\x00\r", [RawPrompt("<|im_start|>\x00\r")]),
]


@pytest.mark.parametrize(("prompt", "prompts"), PROMPTS)
async def test_a_prompt_may_be_texts_or_tokens(
    serve: Serve, connect: Connect, prompt: Any, prompts: list[RawPrompt]
) -> None:
    assert (await asked(serve, connect, prompt=prompt)).prompts == tuple(prompts)


async def all_answers(
    serve: Serve, connect: Connect, *, stream: bool, **keys: Any
) -> dict[int, str]:
    conversations = FakeConversations(ONCE)
    client = connect(await serve(conversations))
    asked = {"model": MODEL, **keys}
    parts = [await client.completions.create(**asked)]
    if stream:
        parts = [part async for part in await client.completions.create(**asked, stream=True)]
    texts: dict[int, str] = {}
    for part in parts:
        assert isinstance(part, Completion)
        for choice in part.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
    return texts


@pytest.mark.parametrize("stream", [False, True])
async def test_each_prompt_has_its_answers_in_the_order_of_openai(
    serve: Serve, connect: Connect, stream: bool
) -> None:
    texts = await all_answers(
        serve, connect, stream=stream, prompt=[[97], [98]], n=2, best_of=2, echo=True
    )
    assert texts == {
        0: "a upon a time",
        1: "a upon a time",
        2: "b upon a time",
        3: "b upon a time",
    }


async def test_the_usage_has_each_prompt_once(serve: Serve, connect: Connect) -> None:
    client = connect(await serve(FakeConversations(ONCE)))
    answer = await client.completions.create(model=MODEL, prompt=["a", "b", "c"], n=2)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (27, 12)


@pytest.mark.parametrize("stream", [False, True])
async def test_without_tokens_to_generate_only_the_echo_comes_back(
    serve: Serve, connect: Connect, stream: bool
) -> None:
    conversations = FakeConversations([Finished(FinishReason.LENGTH, USAGE)])
    client = connect(await serve(conversations))
    keys: dict[str, Any] = {"model": MODEL, "prompt": "Once", "echo": True, "max_tokens": 0}
    if stream:
        parts = [part async for part in await client.completions.create(**keys, stream=True)]
    else:
        parts = [await client.completions.create(**keys)]
    assert "".join(part.choices[0].text for part in parts) == "Once"
    assert conversations.requests[0].max_tokens == 0


PROBABLE = Delta(
    "\u00e9!",
    (
        TokenLogprob(b"\xc3", -0.5, (TokenLogprob(b"\xc3", -0.5), TokenLogprob(b"e", -1.5))),
        TokenLogprob(b"\xa9", -0.25, (TokenLogprob(b"\xa8", -0.125),)),
        TokenLogprob(b"!", -2.0),
    ),
)


@pytest.mark.parametrize("stream", [False, True])
async def test_probabilities_come_in_the_older_lists(
    serve: Serve, connect: Connect, stream: bool
) -> None:
    conversations = FakeConversations([PROBABLE, Finished(FinishReason.STOP, USAGE)])
    client = connect(await serve(conversations))
    keys: dict[str, Any] = {"model": MODEL, "prompt": "Once", "logprobs": 2}
    if stream:
        answer = await anext(await client.completions.create(**keys, stream=True))
    else:
        answer = await client.completions.create(**keys)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["bytes:\\xc3", "bytes:\\xa9", "!"]
    assert logprobs.token_logprobs == [-0.5, -0.25, -2.0]
    assert logprobs.top_logprobs == [
        {"bytes:\\xc3": -0.5, "e": -1.5},
        {"bytes:\\xa8": -0.125, "bytes:\\xa9": -0.25},
        {"!": -2.0},
    ]
    assert logprobs.text_offset == [4, 4, 5]
    assert conversations.requests[0].num_logprobs == 2


async def test_what_chats_can_ask_for_raw_prompts_can_too(serve: Serve, connect: Connect) -> None:
    request = await asked(
        serve,
        connect,
        suffix=" the end",
        max_tokens=5,
        stop=["\n"],
        seed=3,
        temperature=0.5,
        user="ada",
        extra_headers={"X-Parley-Thread": "t"},
        extra_body={
            "top_k": 7,
            "min_p": 0.2,
            "response_format": {"type": "json_object"},
            "loop_guard": False,
            "cache_salt": "s",
        },
    )
    assert request.prompts == (RawPrompt("Once", suffix=" the end"),)
    assert (request.max_tokens, request.stop, request.user) == (5, ("\n",), "ada")
    assert request.sampling == {"temperature": 0.5, "top_k": 7, "min_p": 0.2, "seed": 3}
    assert (request.answer_format, request.loop_guard) == (JsonObject(), False)
    assert (request.thread, request.cache_salt) == ("t", "s")


async def test_a_personality_is_asked_without_its_prompt_being_sent(
    serve: Serve, connect: Connect
) -> None:
    request = await asked(serve, connect, model="coder")
    assert (request.personality, request.messages) == ("coder", ())


async def test_a_text_without_a_beginning_of_its_own_is_sent_so(
    serve: Serve, connect: Connect
) -> None:
    request = await asked(serve, connect, extra_body={"add_special_tokens": False})
    assert request.prompts == (RawPrompt("Once", adds_special=False),)


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a", 5]}, "prompt"),
        ({"prompt": [5, -1]}, "prompt"),
        ({"prompt": [5.5]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": {"text": "Once"}}, "prompt"),
        ({"prompt": ["x"] * 129}, "prompt"),
        ({"prompt": ["x"] * 2_049}, "prompt"),
        ({"prompt": ["x"] * 65, "n": 2}, "n"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "messages"),
        ({"best_of": 3}, "best_of"),
        ({"n": 2, "best_of": 1}, "best_of"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"suffix": 5}, "suffix"),
        ({"top_logprobs": 3}, "top_logprobs"),
    ],
)
async def test_a_wrong_value_is_named_in_one_sentence(
    serve: Serve, connect: Connect, keys: dict[str, Any], param: str
) -> None:
    conversations = FakeConversations()
    client = connect(await serve(conversations))
    body = {"model": MODEL, "prompt": "Once", **keys}
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.post("/completions", body=body, cast_to=Completion)
    assert refusal.value.param == param
    assert refusal.value.type == "invalid_request_error"
    sentence = (refusal.value.body or {})["message"]  # type: ignore[index]
    assert sentence.startswith(param)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert conversations.requests == []


@pytest.mark.parametrize(
    ("error", "status", "param", "code"),
    [
        (PromptTooLong(9_000, 4_095), 400, "prompt", "context_length_exceeded"),
        (UnsupportedOption("suffix", "needs a model that …"), 400, "suffix", None),
        (QueueFull(2.0), 429, None, "rate_limit_exceeded"),
        (EngineFailed("The model is not running."), 503, None, "engine_failed"),
    ],
)
async def test_failures_have_the_shape_of_openai(
    serve: Serve, connect: Connect, error: Any, status: int, param: str | None, code: str | None
) -> None:
    client = connect(await serve(FakeConversations(refusal=error)))
    with pytest.raises(openai.APIStatusError) as refusal:
        await client.completions.create(model=MODEL, prompt="Once")
    assert (refusal.value.status_code, refusal.value.param) == (status, param)
    assert code is None or refusal.value.code == code


async def test_an_engine_that_fails_in_the_middle_says_so_in_the_stream(
    serve: Serve, connect: Connect
) -> None:
    failed = Finished(FinishReason.ERROR, detail="The model failed.")
    client = connect(await serve(FakeConversations([Delta("Hel"), failed])))
    stream = await client.completions.create(model=MODEL, prompt="Once", stream=True)
    assert (await anext(stream)).choices[0].text == "Hel"
    with pytest.raises(openai.APIError, match="The model failed"):
        await anext(stream)
