"""The floor: ``llama_decode`` in a loop, with Parley's model, context and sampler chains.

No plan, no queue, no text, no event loop; every sequence gets one token a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import llama_cpp as llama

from bot.generation import Sampling
from bot.inference.core.sequence import Chunk, Opening, Release, Step
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import MAX_UBATCH, LlamaOptions
from bot.inference.model_files import locate


class BareLoop(LlamaModel):
    """Prompts are evaluated by the model as Parley does it; only ``decode`` is what is timed."""

    def __init__(self, options: LlamaOptions) -> None:
        super().__init__(locate.locate(locate.EMBEDDED), options)

    def begin(self, prompts: Sequence[list[int]], samplings: Sequence[Sampling]) -> None:
        """Every prompt in a slot of its own, each with its first token sampled."""
        self._num = len(prompts)
        self._last: list[int] = []
        self._ends = [len(prompt) for prompt in prompts]
        for slot, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
            self.run(Step([Opening(slot, sampling, [])], []))
            self._last.append(self._read(slot, prompt))
        self._native = llama.llama_batch_init(self._num, 0, 1)
        for slot in range(self._num):
            self._native.n_seq_id[slot] = 1
            self._native.seq_id[slot][0] = slot
            self._native.logits[slot] = 1
        self._native.n_tokens = self._num

    def _read(self, slot: int, prompt: list[int]) -> int:
        """The first token of the reply."""
        for start in range(0, len(prompt), MAX_UBATCH):
            tokens = prompt[start : start + MAX_UBATCH]
            is_last = start + len(tokens) == len(prompt)
            sampled = self.run(Step([], [Chunk(slot, start, tokens, is_last)]))
        return sampled[slot][0]

    def decode(self) -> None:
        """One token more for everybody."""
        batch, last, ends = self._native, self._last, self._ends
        for slot in range(self._num):
            batch.token[slot] = last[slot]
            batch.pos[slot] = ends[slot]
            ends[slot] += 1
        context, chains = self._context.native, self._samplers.chains
        code = llama.llama_decode(context, batch)
        if code:
            raise RuntimeError(f"llama_decode returned {code}")
        for slot in range(self._num):
            last[slot] = llama.llama_sampler_sample(chains[slot].native, context, slot)

    @property
    def num_cells_used(self) -> int:
        return sum(self._ends)

    def end(self) -> None:
        llama.llama_batch_free(self._native)
        self.run(Step([Release(slot) for slot in range(self._num)], []))
