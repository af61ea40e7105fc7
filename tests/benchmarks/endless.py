"""The real model, whose replies do not end by themselves, with a note of every step."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bot.inference.core.sequence import Opening, Release, Step
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.running import loading
from bot.running.proofs import Proofs
from bot.settings.tables import Settings

_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class StepNote:
    """``ended_at`` as ``time.perf_counter`` has it; the rest are numbers of this step.

    ``num_generated`` counts what was sampled and what a grammar forced after it.
    """

    ended_at: float
    num_tokens: int
    num_sampled: int
    num_opened: int
    num_released: int
    num_generated: int = 0


class EndlessModel(LlamaModel):
    """An end of text is looked for, as ever, and never found: replies go on behind it.

    Unless it ``reuses`` prompts, a place that is given up shows as a release.
    """

    def __init__(self, options: LlamaOptions, *, reuses: bool = False) -> None:
        super().__init__(locate.locate(locate.EMBEDDED), options)
        self.can_reuse = self.can_reuse and reuses
        self.is_computing = False
        self.steps: list[StepNote] = []

    def is_end(self, token: int) -> bool:
        super().is_end(token)
        return False

    def run(self, step: Step) -> dict[int, list[int]]:
        self.is_computing = True
        try:
            sampled = super().run(step)
        finally:
            self.is_computing = False
        self.steps.append(
            StepNote(
                time.perf_counter(),
                step.num_decode + step.num_prefill,
                len(sampled),
                sum(isinstance(action, Opening) for action in step.actions),
                sum(isinstance(action, Release) for action in step.actions),
                sum(map(len, sampled.values())),
            )
        )
        return sampled

    @property
    def num_open(self) -> int:
        """Slots in use, as far as the model was told."""
        return sum(note.num_opened - note.num_released for note in self.steps)

    async def until_released(self) -> None:
        while self.num_open:  # noqa: ASYNC110 - the engine's worker is what is waited for
            await asyncio.sleep(_POLL_SECONDS)


def options(*, max_running: int, num_cells: int = 16_384) -> LlamaOptions:
    """As Parley starts it, but for the two sizes: what is the fastest is measured, once.

    Computes for seconds if nothing was measured yet.
    """
    settings = Settings(
        running=max_running, kv_tokens=num_cells, cpu_threads=Settings().num_threads
    )
    path, proofs = locate.locate(locate.EMBEDDED), Proofs()
    loading.prove(settings, proofs, path)
    return loading.fastest_options(settings, proofs, path)
