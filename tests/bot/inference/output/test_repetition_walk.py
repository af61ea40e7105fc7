"""A looping reply in the whole engine: the guard ends it, DRY sampling avoids the loop."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import llama_cpp as llama
import numpy as np
import pytest

from bot.generation import ChatMessage, Delta, Finished, FinishReason, GenerationRequest, Sampling
from bot.inference.core.sequence import Step
from bot.inference.engine.service import InferenceService
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.metrics import Metrics

pytestmark = pytest.mark.model
_WORDS = "I am fine. "
_NUM_TOKENS = 130
_LEAD = 30.0
"""Logits; it takes a repetition of nine tokens to cost more than that."""


class StuckModel(LlamaModel):
    """The real model, but the next word of one sentence is always the likeliest by far."""

    def __init__(self, path: Path, options: LlamaOptions) -> None:
        super().__init__(path, options)
        words = self.vocabulary.tokenize(_WORDS + "I am")
        self._first = words[0]
        self._after = dict(pairwise(words))
        self._last: dict[int, int] = {}
        self._sample = self._samplers.sample
        self._samplers.sample = self._sample_stuck  # type: ignore[method-assign]

    def run(self, step: Step) -> dict[int, list[int]]:
        self._last = {chunk.slot: chunk.tokens[-1] for chunk in step.chunks}
        return super().run(step)

    def _sample_stuck(self, context: Any, slot: int, index: int) -> list[int]:
        native = llama.llama_get_logits_ith(context, index)
        logits = np.ctypeslib.as_array(native, (self.vocabulary.num_tokens,))
        logits[self._after.get(self._last[slot], self._first)] = logits.max() + _LEAD
        return self._sample(context, slot, index)


async def reply(service: InferenceService, sampling: Sampling) -> tuple[str, Finished]:
    request = GenerationRequest(
        messages=(ChatMessage("user", "How are you?"),),
        person="ada",
        sampling=sampling,
        max_tokens=_NUM_TOKENS,
    )
    events = [event async for event in await service.generate(request)]
    assert isinstance(events[-1], Finished)
    return "".join(e.text for e in events if isinstance(e, Delta)), events[-1]


async def test_a_looping_reply_is_ended_and_with_dry_sampling_it_leaves_this_loop() -> None:
    """It may fall into another loop then; which one depends on the processor."""
    path = await asyncio.to_thread(locate.locate, locate.EMBEDDED)
    model = await asyncio.to_thread(
        StuckModel, path, LlamaOptions(num_cells=512, max_running=2, num_threads=1)
    )
    metrics = Metrics()
    async with InferenceService(model, metrics, max_running=2, max_waiting=2) as service:
        (text, plain), (other, dry) = await asyncio.gather(
            reply(service, Sampling(temperature=0)),
            reply(service, Sampling(temperature=0, dry_multiplier=0.8)),
        )
    assert plain.reason is FinishReason.LOOPED
    assert 0 < plain.num_repeated < len(text)
    assert plain.usage.completion_tokens < _NUM_TOKENS
    assert text.startswith(_WORDS * 10)
    assert other.startswith(_WORDS.strip())
    assert _WORDS * 4 not in other
    num_looped = [plain.reason, dry.reason].count(FinishReason.LOOPED)
    assert metrics.registry.get_sample_value("parley_looped_total") == num_looped
