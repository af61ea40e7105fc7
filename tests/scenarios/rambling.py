"""``python -m bot`` whose rambler says the same on every machine, and on none too fast for a test.

What a real model writes, and how long it goes on, differs from processor to processor. Here
the real one computes every token, too, but which it is, is decided for it.
"""

from __future__ import annotations

import itertools
import os
import runpy
import time
from collections.abc import Iterator
from pathlib import Path

from bot.generation import Sampling
from bot.inference.core.sequence import Opening, Step
from bot.inference.llama.model import LlamaModel
from bot.running import loading
from tests.scenarios.personalities import BRAKE, FREQUENCY_PENALTY, PRESENCE_PENALTY, TEMPERATURE

_STORY, _YES = " and the tide comes and the tide goes,", "Yes, of course."
_STEP_SECONDS, _BRAKED_SECONDS = 0.04, 0.3
"""A step takes at least that long: a test can do something while a reply grows."""

_BRAKE = os.environ.get(BRAKE)

_said: dict[int, Iterator[int]] = {}
"""By slot: what is said next there."""


class RamblingModel(LlamaModel):
    """Whoever has the sampling of one of these two says what that one does."""

    def run(self, step: Step) -> dict[int, list[int]]:
        begun = time.perf_counter()
        for action in step.actions:
            if isinstance(action, Opening):
                self._open(action)
        sampled = super().run(step)
        decided = sampled.keys() & _said.keys()
        for slot in decided:
            sampled[slot] = [next(_said[slot])]
        if decided or _is_braked():
            time.sleep(max(0.0, begun + _step_seconds() - time.perf_counter()))
        return sampled

    def _open(self, opening: Opening) -> None:
        _said.pop(opening.slot, None)
        if words := self._words(opening.sampling):
            _said[opening.slot] = itertools.islice(words, len(opening.generated), None)

    def _words(self, sampling: Sampling) -> Iterator[int] | None:
        if sampling.frequency_penalty == FREQUENCY_PENALTY or sampling.temperature == TEMPERATURE:
            return itertools.cycle(self.vocabulary.tokenize(_STORY))
        if sampling.presence_penalty == PRESENCE_PENALTY:
            end = next(filter(self.is_end, itertools.count()))
            return iter([*self.vocabulary.tokenize(_YES), end])
        return None


def _step_seconds() -> float:
    return _BRAKED_SECONDS if _is_braked() else _STEP_SECONDS


def _is_braked() -> bool:
    return _BRAKE is not None and Path(_BRAKE).exists()


def run() -> None:
    os.environ["PARLEY_SPECULATION"] = "off"  # what is decided here is no draft's to accept
    loading.LlamaModel = RamblingModel  # type: ignore[attr-defined]
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run()
