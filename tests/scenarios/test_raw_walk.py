"""Raw prompts, tokens and answers that are continued, on the way through a real Parley."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types import Completion

from tests.ports import free_port
from tests.scenarios.asking import metric, until_metric
from tests.scenarios.parley import Parley, running_parley

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

MODEL = "smollm2"
ONCE = "The capital of France is"
CONTINUES = {"continue_final_message": True, "add_generation_prompt": False}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    settings = {"PARLEY_MAX_TOKENS": "24"}
    folder = tmp_path_factory.mktemp("parley")
    async with running_parley(folder, free_port(), settings) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(parley: Parley) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{parley.url}/v1", api_key="none", max_retries=0) as client:
        yield client


async def post(parley: Parley, path: str, **body: object) -> Any:
    async with (
        aiohttp.ClientSession(parley.url) as session,
        session.post(path, json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def said(client: AsyncOpenAI, prompt: Any, **keys: Any) -> Completion:
    asked = {"model": MODEL, "prompt": prompt, "temperature": 0, "max_tokens": 6, **keys}
    answer = await client.completions.create(**asked)
    assert isinstance(answer, Completion)
    return answer


async def test_a_text_and_its_tokens_are_continued_alike(
    client: AsyncOpenAI, parley: Parley
) -> None:
    tokens = (await post(parley, "/tokenize", content=ONCE))["tokens"]
    assert (await post(parley, "/detokenize", tokens=tokens))["content"] == ONCE
    assert await post(parley, "/extras/tokenize/count", input=ONCE) == {"count": len(tokens)}
    answer = await said(client, [tokens, tokens], echo=True)
    assert [choice.index for choice in answer.choices] == [0, 1]
    texts = {choice.text for choice in answer.choices}
    whole = (await said(client, ONCE, echo=True)).choices[0].text
    assert texts == {whole}
    assert "Paris" in whole
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 2 * len(tokens)
    assert await metric(parley, "parley_completions_total", kind="text") == 2


async def test_a_long_text_holds_up_nobody(client: AsyncOpenAI, parley: Parley) -> None:
    long = ("The quick brown fox. " * 5_000)[: 1 << 16]
    asking = asyncio.create_task(post(parley, "/tokenize", content=long, with_pieces=True))
    while not asking.done():
        asked = asyncio.get_running_loop().time()
        await client.models.list()
        assert asyncio.get_running_loop().time() - asked < 1
    tokens = (await asking)["tokens"]
    assert "".join(token["piece"] for token in tokens) == long


async def test_probabilities_stand_where_their_tokens_do(client: AsyncOpenAI) -> None:
    choice = (await said(client, ONCE, logprobs=3, echo=False)).choices[0]
    assert choice.logprobs is not None
    tokens, offsets = choice.logprobs.tokens or [], choice.logprobs.text_offset or []
    assert "".join(tokens) == choice.text
    whole = ONCE + choice.text
    assert all(whole[at:].startswith(token) for token, at in zip(tokens, offsets, strict=True))
    for token, logprob, likeliest in zip(
        tokens,
        choice.logprobs.token_logprobs or [],
        choice.logprobs.top_logprobs or [],
        strict=True,
    ):
        assert likeliest[token] == logprob == max(likeliest.values())


async def test_a_raw_prompt_goes_on_from_what_was_read_before(client: AsyncOpenAI) -> None:
    long = "One, two, three, four, five, six, seven, eight. " * 4
    first = await said(client, long, max_tokens=0)
    assert first.choices[0].text == ""
    again = await said(client, f"{long}And", stop=["."])
    assert first.usage is not None
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    cached = again.usage.prompt_tokens_details.cached_tokens or 0
    assert cached >= first.usage.prompt_tokens - 2


async def test_several_answers_go_on_from_a_system_prompt_that_was_read_before(
    client: AsyncOpenAI,
) -> None:
    system = {"role": "system", "content": "You are kind to everybody who asks you. " * 4}
    found = []
    for question, num in (("Hi", 1), ("Good morning, how do you do today?", 3)):
        asked: Any = [system, {"role": "user", "content": question}]
        answer = await client.chat.completions.create(
            model=MODEL, messages=asked, n=num, max_tokens=2
        )
        assert answer.usage is not None
        assert answer.usage.prompt_tokens_details is not None
        found.append(answer.usage.prompt_tokens_details.cached_tokens or 0)
    assert found[0] == 0
    assert found[1] > 30


async def test_an_empty_prompt_is_one_token_and_a_program_may_write_a_chat_itself(
    client: AsyncOpenAI, parley: Parley
) -> None:
    empty = await said(client, "", max_tokens=2)
    assert empty.usage is not None
    assert empty.usage.prompt_tokens == 1
    system, user = {"role": "system", "content": "Hm."}, {"role": "user", "content": "Say hello."}
    chat = (
        "<|im_start|>system\nHm.<|im_end|>\n<|im_start|>user\nSay hello.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    written = await post(parley, "/tokenize", prompt=chat)
    assert await post(parley, "/tokenize", messages=[system, user]) == written
    text = (await said(client, chat, max_tokens=8)).choices[0].text
    assert text
    assert "<|im" not in text


async def test_what_the_model_cannot_do_is_said_in_one_sentence(
    client: AsyncOpenAI, parley: Parley
) -> None:
    with pytest.raises(openai.BadRequestError, match="names token 999999") as refusal:
        await said(client, [1, 999_999])
    assert refusal.value.param == "prompt"
    with pytest.raises(openai.BadRequestError, match="fill in the middle") as refusal:
        await said(client, "def f(", suffix="return 1")
    assert refusal.value.param == "suffix"
    with pytest.raises(openai.BadRequestError, match="too long") as refusal:
        await said(client, "word " * 20_000)
    assert (refusal.value.param, refusal.value.code) == ("prompt", "context_length_exceeded")
    with pytest.raises(openai.BadRequestError):
        await client.embeddings.create(model=MODEL, input="x")


async def test_a_chat_goes_on_within_the_assistants_last_message(
    client: AsyncOpenAI, parley: Parley
) -> None:
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "user", "content": "What is the capital of France?"},
            {"role": "assistant", "content": "The capital of France is the city of"},
        ],
        temperature=0,
        max_tokens=8,
        extra_body=CONTINUES,
    )
    assert (answer.choices[0].message.content or "").startswith(" Paris")
    assert await metric(parley, "parley_completions_total", kind="continued") == 1


async def test_leaving_a_stream_of_raw_prompts_stops_them_all(
    parley: Parley, client: AsyncOpenAI
) -> None:
    cancelled = await metric(parley, "parley_cancelled_total")
    stream = await client.completions.create(
        model=MODEL, prompt=["Once", "Twice"], max_tokens=1_000, stream=True
    )
    await anext(stream)
    await stream.close()
    await until_metric(parley, "parley_running_sequences", lambda number: number == 0)
    assert await metric(parley, "parley_cancelled_total") == cancelled + 2
