"""Strategies with the real model, whose choices are narrowed to those that a test is about."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from bot.answer_formats import AnswerFormat, OneOf
from bot.clock import SystemClock
from bot.generation import (
    BANNED,
    ChatMessage,
    Finished,
    FinishReason,
    GenerationRequest,
    Sampling,
)
from bot.inference.core.sequence import Step
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.llama.tuning import CPU_DEFAULT
from bot.inference.model_files import locate
from bot.inference.remote.on_demand import EnginesOnDemand
from bot.metrics import Metrics
from bot.ports import EngineGeneration
from bot.strategies.answering import Answering
from tests.bot.inference.remote.asking import HASTY
from tests.bot.strategies.asking import ASKED, PLAN, ROUTE, count, end_of, heard, text_of
from tests.fakes.model_server import MODEL, FakeModelServer, says

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

STEPS = tuple(f"Name the {each}" for each in ("sun", "air", "sea", "day", "dusk"))
FORMATS: dict[str, AnswerFormat] = {
    "plan": OneOf((json.dumps({"steps": STEPS}),)),
    "good": OneOf(("good",)),
    "bad": OneOf(("bad",)),
}


ENDLESS = Sampling(logit_bias=((0, BANNED), (2, BANNED)))
"""Without the tokens that end the embedded model's replies: no step is over before others begin."""


class NotingModel(LlamaModel):
    """``most_at_once``: replies that got a token in one step."""

    most_at_once = 0

    def run(self, step: Step) -> dict[int, list[int]]:
        sampled = super().run(step)
        self.most_at_once = max(self.most_at_once, len(sampled))
        return sampled


class Narrowed:
    """The engine, which finds one word where it has a choice; ``ends``: of all its replies."""

    def __init__(self, engine: InferenceService, word: str) -> None:
        self.name, self.window = engine.name, engine.window
        self.count, self.forget = engine.count, engine.forget
        self.ends: list[Finished] = []
        self._engine = engine
        self._format = FORMATS[word]

    async def generate(self, request: GenerationRequest) -> EngineGeneration:
        if request.answer_format is not None:
            request = replace(request, answer_format=self._format)
        stream = await self._engine.generate(request)
        stream.when_finished(self.ends.append)
        return stream


class Machine:
    def __init__(self, model: NotingModel, engine: InferenceService, metrics: Metrics) -> None:
        self.model = model
        self.engine = engine
        self.metrics = metrics


@pytest.fixture(scope="module")
def model() -> NotingModel:
    """The engine closes it."""
    attention, layout = CPU_DEFAULT
    options = LlamaOptions(
        num_cells=4_096, max_running=8, num_threads=1, attention=attention, kv_layout=layout
    )
    return NotingModel(locate.locate(locate.EMBEDDED), options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(model: NotingModel) -> AsyncIterator[Machine]:
    metrics = Metrics()
    service = InferenceService(model, metrics, max_running=8, max_waiting=16)
    async with service as engine:
        yield Machine(model, engine, metrics)


async def test_the_steps_of_a_plan_are_computed_at_once_after_one_prompt(machine: Machine) -> None:
    narrowed = Narrowed(machine.engine, "plan")
    answering = Answering(narrowed, machine.metrics, SystemClock())
    system = ChatMessage("system", "You teach children, with patience and in plain words. " * 4)
    asked = replace(
        ASKED, messages=(system, *ASKED.messages[1:]), max_tokens=5 * 32, sampling=ENDLESS
    )
    events = await heard(await answering.generate(asked, PLAN))
    headings = [line for line in text_of(events).split("\n") if line.startswith("**")]
    assert headings == [f"**{n}. {step}**" for n, step in enumerate(STEPS, 1)]
    assert machine.model.most_at_once >= 4
    assert count(machine.metrics, "plan_steps_total") == 5
    planned, *steps = narrowed.ends
    assert len(steps) == 5
    shared = planned.usage.prompt_tokens
    assert all(step.usage.cached_tokens >= shared for step in steps)
    assert count(machine.metrics, "prompt_tokens_total", source="shared") >= 5 * shared
    total = end_of(events).usage
    assert total.completion_tokens == sum(end.usage.completion_tokens for end in narrowed.ends)


async def test_a_stop_of_a_plan_frees_every_place(machine: Machine) -> None:
    answering = Answering(Narrowed(machine.engine, "plan"), machine.metrics, SystemClock())
    stream = await answering.generate(replace(ASKED, max_tokens=5 * 100), PLAN)
    async for _ in stream:
        if machine.engine.num_running > 1:
            break
    stream.cancel()
    assert end_of(await heard(stream)).reason is FinishReason.CANCELLED
    assert (machine.engine.num_running, machine.engine.num_waiting) == (0, 0)


async def test_only_the_question_for_the_verdict_is_read(machine: Machine) -> None:
    narrowed = Narrowed(machine.engine, "good")
    async with FakeModelServer() as server:
        remotes = EnginesOnDemand([server.url], machine.metrics, patience=HASTY)
        async with remotes:
            answering = Answering(narrowed, machine.metrics, SystemClock(), remotes)
            asked = replace(ASKED, max_tokens=24, thread="slack:W/C/2")
            events = await heard(await answering.generate(asked, ROUTE))
    assert text_of(events).startswith(f"_Answered by {machine.engine.name}:_\n\n")
    answer, verdict = (end.usage for end in narrowed.ends)
    known = answer.prompt_tokens + answer.completion_tokens - 1
    assert verdict.cached_tokens >= known - 1
    assert verdict.completion_tokens <= 8
    assert (server.num_listed, server.asked) == (0, [])


async def test_after_a_bad_answer_a_server_is_asked_the_same(machine: Machine) -> None:
    async with FakeModelServer() as server:
        server.script.append(says("Light ", "scatters.", usage=(20, 4)))
        patience = replace(HASTY, watch=math.inf)
        remotes = EnginesOnDemand([server.url], machine.metrics, patience=patience)
        async with remotes:
            narrowed = Narrowed(machine.engine, "bad")
            answering = Answering(narrowed, machine.metrics, SystemClock(), remotes)
            personality = replace(ROUTE, remote=MODEL)
            asked = replace(ASKED, max_tokens=24, thread="slack:W/C/3")
            events = await heard(await answering.generate(asked, personality))
    address = server.url.removeprefix("http://")
    assert text_of(events) == f"_Answered by {MODEL} at {address}:_\n\nLight scatters."
    (body,) = server.asked
    assert body["messages"] == [
        {"role": each.role, "content": each.content} for each in ASKED.messages
    ]
    tokens = [end.usage.completion_tokens for end in narrowed.ends]
    assert end_of(events).usage.completion_tokens == sum(tokens) + 4
    assert count(machine.metrics, "routed_total", answered_by="remote", verdict="bad") == 1
