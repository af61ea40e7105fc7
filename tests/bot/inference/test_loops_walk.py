"""A reply of the real model that loops, through the whole engine: ended, and talked out of it."""

from __future__ import annotations

import asyncio

import pytest

from bot.inference import models
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.service import InferenceService
from bot.metrics import Metrics
from bot.types import ChatMessage, Delta, Finished, FinishReason, GenerationRequest, Sampling

pytestmark = pytest.mark.model
_MESSAGES = (
    ChatMessage("user", "Repeat after me: I am fine."),
    ChatMessage("assistant", "I am fine. " * 12),
    ChatMessage("user", "Again, a hundred times."),
)
_NUM_TOKENS = 130


async def reply(service: InferenceService, sampling: Sampling) -> tuple[str, Finished]:
    request = GenerationRequest(
        messages=_MESSAGES, person="ada", sampling=sampling, max_tokens=_NUM_TOKENS
    )
    events = [event async for event in await service.generate(request)]
    assert isinstance(events[-1], Finished)
    return "".join(e.text for e in events if isinstance(e, Delta)), events[-1]


async def test_a_looping_reply_is_ended_and_with_dry_sampling_it_leaves_this_loop() -> None:
    """Into which other one it may come then depends on the processor."""
    options = LlamaOptions(num_cells=1_024, max_running=2)
    model = await asyncio.to_thread(lambda: LlamaModel(models.locate(models.EMBEDDED), options))
    metrics = Metrics()
    async with InferenceService(model, metrics, max_running=2, max_waiting=2) as service:
        (text, plain), (other, dry) = await asyncio.gather(
            reply(service, Sampling(temperature=0)),
            reply(service, Sampling(temperature=0, dry_multiplier=0.8)),
        )
    assert plain.reason is FinishReason.LOOPED
    assert 0 < plain.num_repeated < len(text)
    assert plain.usage.completion_tokens < _NUM_TOKENS
    assert text.startswith("I am fine. " * 10)
    assert "I am fine. " * 10 not in other
    num_looped = [plain.reason, dry.reason].count(FinishReason.LOOPED)
    assert metrics.registry.get_sample_value("parley_looped_total") == num_looped
