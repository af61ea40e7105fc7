"""A model that other processes run: ``llama_cpp.server`` and a second Parley, both real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bot.errors import EngineFailed, PromptTooLong
from bot.generation import ChatMessage, Delta, FinishReason, GenerationRequest, RawPrompt, Sampling
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.inference.remote.engine import RemoteEngine
from bot.metrics import Metrics
from bot.stream import GenerationStream
from tests.benchmarks import peer
from tests.bot.inference.remote.asking import answer, count
from tests.bot.inference.streams import read
from tests.ports import free_port
from tests.scenarios.asking import Answer, metric, post, until_metric
from tests.scenarios.command import command
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import FREQUENCY_PENALTY, RAMBLING

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

KEY = "s3cret-of-the-second"
MESSAGES = (
    ChatMessage("system", "You are brief."),
    ChatMessage("user", "What is the capital of France?"),
)
CAPITAL = GenerationRequest(
    messages=MESSAGES, person="ada", max_tokens=12, sampling=Sampling(temperature=0)
)
STORY = replace(
    CAPITAL, messages=(ChatMessage("user", "Write a very long story."),), max_tokens=1_500
)


def body(text: str, **options: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}], **options}).encode()


# llama_cpp.server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    peer.is_there_or_skip()
    folder = tmp_path_factory.mktemp("peer")
    options = {"n_ctx": "2048", "model_alias": "smol"}
    async with peer.server(folder, num_threads=1, **options).running() as url:
        yield url


async def test_the_library_s_own_server_answers_and_counts(server: str) -> None:
    metrics = Metrics()
    async with RemoteEngine([server], metrics) as engine:
        text, finished = await answer(engine, CAPITAL)
        counted = await engine.count(MESSAGES)
    assert engine.name == "smol"
    assert text
    assert finished.reason in (FinishReason.LENGTH, FinishReason.STOP)
    exact = await asyncio.to_thread(_exact_count)
    assert exact <= counted <= exact + 50, "counted by its tokenizer, and not estimated"
    assert count(metrics, "engine_calls_total", status="ok") == 1


async def test_the_library_s_own_server_continues_a_raw_prompt_and_shows_its_tokens(
    server: str,
) -> None:
    prompt = RawPrompt("The capital of France is")
    asked = replace(CAPITAL, messages=(), raw=prompt, num_logprobs=2)
    async with RemoteEngine([server], Metrics()) as engine:
        events = [event async for event in await engine.generate(asked)]
        tokens = await engine.tokenize(prompt)
        assert await engine.detokenize(tokens) == prompt.content
        with pytest.raises(EngineFailed, match="failed at this answer"):
            await engine.embed({"input": "Once"})  # it makes some only if it is told at its start
    deltas = [event for event in events if isinstance(event, Delta)]
    text = "".join(delta.text for delta in deltas)
    assert "Paris" in text
    found = [token for delta in deltas for token in delta.logprobs]
    assert b"".join(token.piece for token in found).decode().strip() in text
    assert len(found[0].likeliest) >= 2


async def test_the_library_s_own_server_is_free_again_once_a_reply_is_stopped(server: str) -> None:
    metrics = Metrics()
    async with RemoteEngine([server], metrics) as engine:
        stream = await engine.generate(STORY)
        await _begun(stream)
        stream.cancel()
        assert (await read(stream))[1].reason is FinishReason.CANCELLED
        assert (await answer(engine, CAPITAL))[0]
    assert count(metrics, "engine_calls_total", status="cancelled") == 1


async def test_the_window_of_the_library_s_own_server_is_learnt_from_its_refusal(
    server: str,
) -> None:
    metrics = Metrics()
    long = replace(CAPITAL, messages=(ChatMessage("user", "word " * 2_500),))
    async with RemoteEngine([server], metrics) as engine:
        assert engine.window == 4_096
        with pytest.raises(PromptTooLong, match="and 2,047 fit"):
            await read(await engine.generate(long))
        assert engine.window == 2_048
    assert count(metrics, "engine_calls_total", status="context") == 1


def _exact_count() -> int:
    model = LlamaModel(locate.locate(locate.EMBEDDED), LlamaOptions(num_cells=256, max_running=1))
    try:
        return len(model.encode(MESSAGES))
    finally:
        model.close()


async def _begun(stream: GenerationStream) -> None:
    async for event in stream:
        if isinstance(event, Delta):
            return


# A second Parley


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def second(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    folder = tmp_path_factory.mktemp("second")
    settings = {"PARLEY_API_KEYS": f"front:{KEY}", "PARLEY_CONTEXT": "2048"}
    async with running_parley(folder, free_port(), settings, RAMBLING) as parley:
        yield parley
    assert "Traceback" not in parley.output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(second: Parley, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    folder = tmp_path_factory.mktemp("front")
    settings = {"PARLEY_ENGINE_URL": second.url, "PARLEY_ENGINE_KEY": KEY, "PARLEY_MAX_TOKENS": "8"}
    async with running_parley(folder, free_port(), settings) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output
    assert KEY not in parley.output


async def _ready(parley: Parley) -> Answer:
    async with aiohttp.ClientSession() as session, session.get(f"{parley.url}/readyz") as response:
        return Answer(response.status, await response.json(), response.headers)


async def test_a_parley_without_a_model_answers_with_the_model_of_another(
    front: Parley, second: Parley
) -> None:
    written = await metric(second, "parley_completion_tokens_total")
    found = await post(front, body("What is the capital of France?", model="assistant"))
    assert found.status == 200
    assert found.text
    assert await metric(second, "parley_completion_tokens_total") > written
    assert await metric(front, "parley_completion_tokens_total") > 0
    ready = await _ready(front)
    assert ready.body["model"] == {
        "name": "smollm2",
        "status": "up",
        "servers": {"up": 1, "all": 1},
    }
    assert f"smollm2: 4,096 tokens a thread, 8 replies at once, at {second.url}" in front.output


async def test_raw_prompts_tokens_and_open_messages_go_through_both(front: Parley) -> None:
    begun = [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "The capital of France is the city of"},
    ]
    cold = {"temperature": 0, "max_tokens": 6}
    async with aiohttp.ClientSession(front.url) as session:

        async def ask(path: str, **keys: object) -> Any:
            async with session.post(path, json=keys) as answer:
                return await answer.json()

        prompt = "The capital of France is"
        tokens = (await ask("/tokenize", content=prompt))["tokens"]
        assert (await ask("/detokenize", tokens=tokens))["content"] == prompt
        texts = [
            (await ask("/v1/completions", prompt=each, logprobs=1, **cold))["choices"][0]
            for each in (prompt, tokens)
        ]
        assert texts[0]["text"] == texts[1]["text"]
        assert "".join(texts[0]["logprobs"]["tokens"]) == texts[0]["text"]
        keys = {"continue_final_message": True, **cold}
        reply = await ask("/v1/chat/completions", messages=begun, **keys)
        assert reply["choices"][0]["message"]["content"].startswith(" Paris")
        refused = await ask("/v1/completions", prompt="a", suffix="b")
        assert refused["error"]["param"] == "suffix"
        refused = await ask("/v1/embeddings", input="Once")
        assert refused["error"]["code"] == "unsupported"


async def test_a_stop_goes_through_both(front: Parley, second: Parley) -> None:
    stopped = await metric(second, "parley_cancelled_total")
    data = body("Go on.", stream=True, max_tokens=1_500, frequency_penalty=FREQUENCY_PENALTY)
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{front.url}/v1/chat/completions", data=data, headers=headers) as response,
    ):
        assert b"data:" in await response.content.readline()
    await until_metric(second, "parley_cancelled_total", lambda now: now == stopped + 1)
    await until_metric(second, "parley_running_sequences", lambda running: running == 0)


async def test_a_question_too_long_for_the_other_is_refused_as_its_own_would_be(
    front: Parley,
) -> None:
    found = await post(front, body("word " * 2_500))
    assert (found.status, found.error["code"]) == (400, "context_length_exceeded")


async def test_ask_uses_the_other_without_loading_anything(second: Parley, tmp_path: Path) -> None:
    environ = {"PARLEY_ENGINE_URL": second.url, "PARLEY_ENGINE_KEY": KEY, "PARLEY_MAX_TOKENS": "4"}
    asked = await command(tmp_path, "ask", "Hello?", environ=environ)
    assert (asked.code, asked.err) == (0, "")
    assert asked.out.strip()


async def test_while_the_other_is_away_people_are_told_and_then_it_goes_on(
    front: Parley, second: Parley
) -> None:
    await second.kill()
    found = await post(front, body("Hello?"))
    assert found.status == 503
    assert found.error["message"].startswith("The model's server cannot be reached.")
    assert (await _ready(front)).status == 503
    await second.start()
    await until_metric(front, "parley_engine_retries_total", lambda retries: retries > 0)
    assert (await post(front, body("Hello?"))).status == 200


async def test_a_wrong_key_or_model_refuses_to_start_with_what_to_do(
    second: Parley, tmp_path: Path
) -> None:
    environ = {"PARLEY_ENGINE_URL": second.url, "PARLEY_ENGINE_MODEL": "gpt"}
    result = await command(tmp_path, "run", environ=environ)
    assert result.code == 2
    assert "it has no model 'gpt', but smollm2" in result.err
    assert result.err.count("\n") == 1
