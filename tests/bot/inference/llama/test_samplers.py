"""Several threads choose the tokens of a step where the model computes on a GPU."""

from __future__ import annotations

import pytest

from bot.generation import ChatMessage, Sampling
from bot.inference.core.sequence import Chunk, Opening, Step
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate

pytestmark = pytest.mark.model
NUM_REPLIES, NUM_STEPS = 8, 4
JSON = 'start: "{" /[a-z]*/ "}"'


class BesideAGpu(LlamaModel):
    """Chooses as if a GPU computed."""

    def _num_samplers(self) -> int:
        return 4


def said(kind: type[LlamaModel]) -> list[dict[int, list[int]]]:
    """What every reply says in each step; every fourth is held to a grammar."""
    model = kind(
        locate.locate("smollm2"),
        LlamaOptions(num_cells=512, max_running=NUM_REPLIES, num_threads=1, gpu_layers=0),
    )
    slots = range(NUM_REPLIES)
    prompt = model.encode([ChatMessage("user", "Tell me something.")])
    openings = [
        Opening(slot, Sampling(temperature=1.5, seed=slot), [], JSON if slot % 4 == 3 else None)
        for slot in slots
    ]
    steps = [model.run(Step([*openings], [Chunk(slot, 0, prompt, True) for slot in slots]))]
    for end in range(len(prompt), len(prompt) + NUM_STEPS):
        chunks = [Chunk(slot, end, steps[-1][slot][:1], True) for slot in slots]
        steps.append(model.run(Step([], chunks)))
    model.close()
    return steps


def test_several_threads_choose_for_every_reply_what_one_would() -> None:
    alone, together = said(LlamaModel), said(BesideAGpu)
    assert together == alone
    assert len({str(step) for step in alone}) > 1
