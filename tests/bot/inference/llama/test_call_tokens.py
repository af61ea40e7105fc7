"""Models whose calls of tools stand between tokens of their own, which have no text."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.generation import (
    ChatMessage,
    Delta,
    Finished,
    FinishReason,
    GenerationRequest,
    Sampling,
    Tool,
    ToolCallDelta,
    ToolUse,
)
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.metrics import Metrics
from tests.fakes.tiny_models import LLAMA, write_tiny_model
from tests.vocabularies import vocabularies_or_skip

pytestmark = pytest.mark.model

CHAT = (
    "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}"
    "{% for m in messages %}<|user|>{{ m.content }}{% for call in m.tool_calls or [] %}"
    "<|placeholder1|>{{ call.function.name }}<|placeholder2|>{{ call.function.arguments | tojson }}"
    "<|placeholder3|>{% endfor %}<|end|>{% endfor %}<|assistant|>"
)
CLOSED = '{"type": "object", "properties": {}, "additionalProperties": false}'
TOOLS = (Tool("now", "", CLOSED), Tool("then", "", CLOSED))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LlamaModel:
    vocabulary = vocabularies_or_skip() / "ggml-vocab-phi-3.gguf"
    path: Path = tmp_path_factory.mktemp("models") / "calls.gguf"
    write_tiny_model(path, LLAMA, vocabulary, CHAT)
    return LlamaModel(path, LlamaOptions(num_cells=512, max_running=2, num_threads=1))


async def test_tokens_around_calls_are_said_and_never_shown(model: LlamaModel) -> None:
    assert all(isinstance(mark, int) for mark in (*model.calls.begins, *model.calls.arguments))
    request = GenerationRequest(
        messages=(ChatMessage("system", "", tools=TOOLS), ChatMessage("user", "When?")),
        person="ada",
        sampling=Sampling(temperature=5, seed=7),
        num_logprobs=3,
        tool_use=ToolUse(TOOLS, frozenset({"now", "then"}), is_required=True),
        max_tokens=60,
    )
    async with InferenceService(model, Metrics(), max_running=2, max_waiting=2) as service:
        asked = [await service.generate(request) for _ in range(2)]
        for stream in asked:
            events = [event async for event in stream]
            calls = [event for event in events if isinstance(event, ToolCallDelta)]
            names = [call.name for call in calls if call.name]
            assert set(names) <= {"now", "then"}
            assert "".join(call.arguments for call in calls) == "{}" * len(names)
            assert not [event for event in events if isinstance(event, Delta)]
            assert isinstance(events[-1], Finished)
            assert events[-1].reason in (FinishReason.STOP, FinishReason.LENGTH)
            assert names
