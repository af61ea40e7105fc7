"""vLLM as the server that runs the model, and routers before several of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from bot.generation import FinishReason, GenerationRequest, Sampling
from bot.inference.remote.cache_hints import CacheHints
from tests.bot.inference.remote.asking import answer, engine_over, question
from tests.fakes.model_server import FakeModelServer
from tests.fakes.vllm_server import VllmServer

HEADER = "x-user-id"
SLACK = replace(question("one two three"), scope="slack:T01", thread="slack:T01/C01/1700000000.1")
DISCORD = replace(SLACK, scope="discord:G1", thread="discord:G1/7")


@pytest.fixture
async def vllm() -> AsyncIterator[VllmServer]:
    async with VllmServer() as server:
        yield server


async def test_it_answers_with_its_own_samplers_and_counts(vllm: VllmServer) -> None:
    sampling = Sampling(top_k=0, min_p=0.1, repeat_penalty=1.2)
    async with engine_over(vllm) as engine:
        assert engine.window == 8_192
        text, finished = await answer(engine, replace(question(), sampling=sampling))
    assert (text, finished.reason) == ("Hello", FinishReason.STOP)
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (1, 2)
    (asked,) = vllm.asked
    assert (asked["top_k"], asked["min_p"], asked["repetition_penalty"]) == (-1, 0.1, 1.2)


async def num_cached(engine_server: VllmServer, *requests: GenerationRequest) -> list[int]:
    async with engine_over(engine_server) as engine:
        return [(await answer(engine, each))[1].usage.cached_tokens for each in requests]


async def test_what_it_evaluated_is_reused_within_a_workspace_and_for_no_other(
    vllm: VllmServer,
) -> None:
    other_thread = replace(SLACK, thread="slack:T01/C02/1", person="bob")
    assert await num_cached(vllm, SLACK, DISCORD, other_thread, DISCORD) == [0, 0, 3, 3]


async def test_a_version_that_cannot_divide_its_cache_answers_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with VllmServer(salts=False) as old:
        assert await num_cached(old, SLACK, DISCORD) == [0, 3]
    (warning,) = [each for each in caplog.messages if "workspaces" in each]
    assert "it is one for all workspaces" in warning


async def test_where_a_divided_cache_is_wanted_no_other_answers() -> None:
    hints = CacheHints(salting="on")
    async with VllmServer(salts=False) as old, engine_over(old, hints=hints) as engine:
        _, finished = await answer(engine, SLACK)
    assert finished.reason is FinishReason.ERROR
    assert old.asked == []


async def test_salting_can_be_switched_off_and_is_never_tried_on_unknown_servers(
    vllm: VllmServer, server: FakeModelServer
) -> None:
    async with engine_over(vllm, hints=CacheHints(salting="off")) as engine:
        await answer(engine, SLACK)
    async with engine_over(server) as engine:
        await answer(engine, SLACK)
    assert "cache_salt" not in vllm.asked[0]
    assert "cache_salt" not in server.asked[0]


async def headers(vllm: VllmServer, *requests: GenerationRequest) -> list[Mapping[str, str]]:
    async with engine_over(vllm, hints=CacheHints(HEADER)) as engine:
        for request in requests:
            await answer(engine, request)
    return vllm.headers


async def test_a_router_hears_for_each_thread_a_name_that_stays_the_same(
    vllm: VllmServer,
) -> None:
    elsewhere = replace(SLACK, scope="slack:T02")
    heard = await headers(vllm, SLACK, DISCORD, elsewhere, replace(SLACK, person="bob"))
    names = [each[HEADER] for each in heard]
    assert len(set(names)) == 3
    assert names[0] == names[3]


async def test_a_question_without_a_thread_goes_wherever_there_is_room(vllm: VllmServer) -> None:
    (heard,) = await headers(vllm, replace(SLACK, thread=None))
    assert HEADER not in heard


async def test_names_of_people_and_places_stay_here(vllm: VllmServer) -> None:
    (heard,) = await headers(vllm, SLACK)
    (again,) = (await headers(vllm, SLACK))[1:]
    told = f"{dict(heard)} {vllm.asked}"
    for name in ("T01", "C01", "1700000000", "slack"):
        assert name not in told
    assert heard[HEADER] != again[HEADER], "another process has another key, so none can be guessed"
