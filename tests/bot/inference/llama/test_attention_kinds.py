"""Tiny models of every attention kind, with random weights, in the real llama.cpp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli.doctor import examine
from bot.generation import ChatMessage, Finished, FinishReason, GenerationRequest, Sampling
from bot.inference.core.sequence import Chunk, Opening, Release, Step
from bot.inference.engine.service import InferenceService
from bot.inference.llama.files import AttentionKind, read_facts, read_kind
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.metrics import Metrics
from tests.fakes.decided_model import DecidedModel
from tests.fakes.tiny_models import (
    CONVOLUTION,
    GEMMA3,
    HEAD,
    KV_HEADS,
    LFM2,
    LLAMA,
    MAMBA,
    NUM_LAYERS,
    SLIDING_WINDOW,
    STATE,
    WIDTH,
    Architecture,
    write_tiny_model,
)
from tests.vocabularies import vocabularies_or_skip

pytestmark = pytest.mark.model

MODELS: dict[str, tuple[Architecture, str, str]] = {
    "llama with BPE": (LLAMA, "gpt-2", "Qwen-Qwen2.5-7B-Instruct"),
    "llama with SPM": (LLAMA, "llama-spm", "Mistral-Small-3.2-24B-Instruct-2506"),
    "sliding window": (GEMMA3, "llama-spm", "google-gemma-2-2b-it"),
    "recurrent": (MAMBA, "gpt-2", "llama-cpp-rwkv-world"),
    "hybrid": (LFM2, "phi-3", "LFM2-8B-A1B"),
}
FULLY_EVALUATED = ["sliding window", "recurrent", "hybrid"]
KINDS = [
    AttentionKind.ATTENTION,
    AttentionKind.ATTENTION,
    AttentionKind.SLIDING_WINDOW,
    AttentionKind.RECURRENT,
    AttentionKind.HYBRID,
]
SYSTEM = ChatMessage("system", "You are kind and brief, and you answer in one sentence. " * 3)
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sources, folder = vocabularies_or_skip(), tmp_path_factory.mktemp("models")
    return {
        name: write_tiny_model(
            folder / f"{name.replace(' ', '-')}.gguf",
            architecture,
            sources / f"ggml-vocab-{vocabulary}.gguf",
            (sources / "templates" / f"{template}.jinja").read_text("utf-8"),
        )
        for name, (architecture, vocabulary, template) in MODELS.items()
    }


def load(path: Path, *, num_cells: int = 512, window: int = 0) -> LlamaModel:
    options = LlamaOptions(num_cells=num_cells, window=window, max_running=4, num_threads=1)
    return LlamaModel(path, options)


@asynccontextmanager
async def engine(
    path: Path, metrics: Metrics, *, num_cells: int = 512, window: int = 0
) -> AsyncIterator[InferenceService]:
    model = await asyncio.to_thread(load, path, num_cells=num_cells, window=window)
    async with InferenceService(model, metrics, max_running=4, max_waiting=8) as service:
        yield service


def asked(*said: str, person: str = "ada", limit: int = 8) -> GenerationRequest:
    turns = (ChatMessage("user" if n % 2 == 0 else "assistant", t) for n, t in enumerate(said))
    return GenerationRequest(
        messages=(SYSTEM, *turns), person=person, thread="1", sampling=GREEDY, max_tokens=limit
    )


async def answered(service: InferenceService, request: GenerationRequest) -> Finished:
    *_, last = [event async for event in await service.generate(request)]
    assert isinstance(last, Finished)
    return last


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_the_kind_of_a_model_is_read_from_llama_cpp(files: dict[str, Path]) -> None:
    assert [read_kind(files[name]) for name in MODELS] == KINDS


def test_memory_is_counted_as_each_kind_takes_it(files: dict[str, Path]) -> None:
    """Bytes of a token at f16, and of a reply's state at f32."""
    taken = {
        name: (facts.bytes_per_cell, facts.bytes_per_sequence)
        for name, facts in ((name, read_facts(path)) for name, path in files.items())
    }
    of_a_layer = 2 * KV_HEADS * 2 * HEAD
    assert taken["llama with SPM"] == (NUM_LAYERS * of_a_layer, 0)
    assert taken["hybrid"] == (of_a_layer, 4 * NUM_LAYERS * (CONVOLUTION - 1) * WIDTH)
    state = 2 * WIDTH * (CONVOLUTION - 1 + STATE)
    assert taken["recurrent"] == (0, 4 * NUM_LAYERS * state)


@pytest.mark.parametrize("name", FULLY_EVALUATED)
async def test_the_next_turn_is_evaluated_from_its_beginning(
    files: dict[str, Path], name: str
) -> None:
    metrics = Metrics()
    async with engine(files[name], metrics) as service:
        first = await answered(service, asked("Hello!"))
        second = await answered(service, asked("Hello!", "Hi!", "How are you?"))
    assert (first.usage.cached_tokens, second.usage.cached_tokens) == (0, 0)
    num_prompts = first.usage.prompt_tokens + second.usage.prompt_tokens
    assert sample(metrics, "parley_prompt_tokens_total", source="evaluated") >= num_prompts
    assert sample(metrics, "parley_engine_restarts_total") == 0


@pytest.mark.parametrize("name", ["llama with BPE", "llama with SPM"])
async def test_the_next_turn_of_an_attention_model_evaluates_only_what_is_new(
    files: dict[str, Path], name: str
) -> None:
    async with engine(files[name], Metrics()) as service:
        await answered(service, asked("Hello!"))
        again = await answered(service, asked("Hello!", "Hi!", "How are you?"))
    assert again.usage.cached_tokens > 0


@pytest.mark.parametrize("name", FULLY_EVALUATED)
async def test_a_stopped_reply_frees_its_place_and_the_next_one_is_answered(
    files: dict[str, Path], name: str
) -> None:
    metrics = Metrics()
    async with engine(files[name], metrics) as service:
        stream = await service.generate(asked("Tell me a story.", limit=300))
        await anext(stream)
        stream.cancel()
        assert [e.reason async for e in stream if isinstance(e, Finished)] == ["cancelled"]
        done = await answered(service, asked("Hello!"))
        assert service.num_running == 0
    assert done.reason is FinishReason.LENGTH
    assert sample(metrics, "parley_cancelled_total") == 1
    assert sample(metrics, "parley_engine_restarts_total") == 0


@pytest.mark.parametrize("name", FULLY_EVALUATED)
async def test_replies_that_outgrow_the_pool_together_all_come_to_their_end(
    files: dict[str, Path], name: str
) -> None:
    """Two of them do not fit; each continues to its limit, whatever the weights are."""
    metrics = Metrics()
    options = LlamaOptions(num_cells=512, max_running=4, num_threads=1)
    model = await asyncio.to_thread(DecidedModel, files[name], options, " the tide comes and")
    async with InferenceService(model, metrics, max_running=4, max_waiting=8) as service:
        streams = [asked("Tell me a story.", person=f"p{n}", limit=300) for n in range(4)]
        done = await asyncio.gather(
            *(answered(service, replace(request, loop_guard=False)) for request in streams)
        )
    assert {one.reason for one in done} == {FinishReason.LENGTH}
    assert sample(metrics, "parley_preempted_total") > 0
    assert sample(metrics, "parley_engine_restarts_total") == 0


@pytest.mark.parametrize("name", list(MODELS))
def test_a_slot_that_is_reused_keeps_no_state(files: dict[str, Path], name: str) -> None:
    model = load(files[name])
    prompt = model.encode([SYSTEM, ChatMessage("user", "Hello, who are you?")])
    ask = Step([Release(0), Opening(0, GREEDY, [])], [Chunk(0, 0, prompt, True)])
    first = model.run(ask)
    for n in range(3 * SLIDING_WINDOW):
        model.run(Step([], [Chunk(0, len(prompt) + n, [100 + n], True)]))
    assert model.run(ask) == first
    model.close()


def test_doctor_says_what_such_a_model_costs(files: dict[str, Path], tmp_path: Path) -> None:
    for name, kind in zip(MODELS, KINDS, strict=True):
        environ = {"PARLEY_MODEL": str(files[name]), "PARLEY_PORT": "0"}
        (model,) = (check for check in examine(environ, tmp_path) if check.name == "model")
        assert model.status == "ok"
        says_so = f"{kind}: every turn is evaluated from its beginning" in model.detail
        assert says_so is not kind.can_reuse
