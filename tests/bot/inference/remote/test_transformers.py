"""``transformers serve`` as the server that runs the model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.answer_formats import JsonObject
from bot.errors import ModelError, UnsupportedOption
from bot.generation import ChatMessage, FinishReason, Sampling, Tool, ToolUse
from tests.bot.inference.remote.asking import answer, engine_over, question
from tests.fakes.transformers_server import MODEL, TransformersServer

TOOLS = ToolUse((Tool("weather"), Tool("clock")), frozenset({"weather", "clock"}))
MANY = (MODEL, *(f"other/{number}" for number in range(9)))


@pytest.fixture(params=["5.23", "older"])
async def transformers(request: pytest.FixtureRequest) -> AsyncIterator[TransformersServer]:
    async with TransformersServer(older=request.param == "older") as server:
        yield server


async def test_it_answers_and_its_counts_are_read_from_its_last_chunk(
    transformers: TransformersServer,
) -> None:
    async with engine_over(transformers) as engine:
        text, finished = await answer(engine, question())
        assert (await answer(engine, question(limit=3)))[1].reason is FinishReason.LENGTH
    assert (text, finished.reason) == ("Hello", FinishReason.STOP)
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (12, 3)
    assert engine.name == MODEL


async def test_a_personality_s_penalties_are_left_out_and_the_rest_is_sent(
    transformers: TransformersServer,
) -> None:
    sampling = Sampling(seed=7, top_k=3, presence_penalty=0.5, frequency_penalty=0.5)
    async with engine_over(transformers) as engine:
        await answer(engine, replace(question(), sampling=sampling, stop=("END",)))
    (asked,) = transformers.asked
    assert asked == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 100,
        "temperature": 0.7,
        "top_p": 0.95,
        "seed": 7,
        "stop": ["END"],
    }


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"sampling": Sampling(presence_penalty=0.5)}, "presence_penalty"),
        ({"sampling": Sampling(frequency_penalty=0.5)}, "frequency_penalty"),
        ({"sampling": Sampling(top_k=7)}, "top_k"),
        ({"num_logprobs": 0}, "logprobs"),
        ({"answer_format": JsonObject()}, "response_format"),
        ({"tool_use": replace(TOOLS, is_required=True)}, "tool_choice"),
        ({"tool_use": replace(TOOLS, is_parallel=False)}, "parallel_tool_calls"),
        ({"messages": (ChatMessage("assistant", "So", is_open=True),)}, "continue_final_message"),
    ],
)
async def test_what_it_refuses_is_refused_by_name_where_a_program_asks_for_it(
    transformers: TransformersServer, keys: dict[str, Any], name: str
) -> None:
    asked = replace(question(), **keys, asked_sampling=frozenset({name} & {"top_k", *PENALTIES}))
    async with engine_over(transformers) as engine:
        with pytest.raises(UnsupportedOption, match=f"{name} is not supported"):
            await engine.generate(asked)
    assert transformers.asked == []


PENALTIES = ("presence_penalty", "frequency_penalty")


async def test_tools_are_offered_to_it(transformers: TransformersServer) -> None:
    async with engine_over(transformers) as engine:
        await answer(engine, replace(question(), tool_use=TOOLS))
    (asked,) = transformers.asked
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["weather", "clock"]


@pytest.mark.parametrize("failure", ["CUDA out of memory", 'no "eos" in C:\\x', "one\ntwo"])
async def test_a_failure_within_its_answer_is_no_good_end_however_it_is_written(
    transformers: TransformersServer, failure: str
) -> None:
    transformers.fails = failure
    async with engine_over(transformers) as engine:
        text, finished = await answer(engine, question())
    assert (text, finished.reason) == ("Hello", FinishReason.ERROR)
    assert finished.detail.startswith("The model's server failed at this answer.")


async def test_with_several_models_on_its_disk_one_has_to_be_named() -> None:
    async with TransformersServer(models=MANY) as server:
        with pytest.raises(ModelError, match="several models on its disk; set PARLEY_ENGINE_MODEL"):
            async with engine_over(server):
                pass
        async with engine_over(server, model="other/7") as engine:
            assert (await answer(engine, question()))[0] == "Hello"


async def test_a_model_that_is_not_on_its_disk_may_be_named(
    transformers: TransformersServer,
) -> None:
    async with engine_over(transformers, model="Qwen/Qwen3-0.6B") as engine:
        await answer(engine, question())
    assert transformers.asked[0]["model"] == "Qwen/Qwen3-0.6B"
