"""``python -m bot`` whose rambler says the same on every machine, and on none too fast for a test.

What a real model writes, and how long it goes on, differs from processor to processor. Here
the real one computes every token, too, but which it is, is decided for it.
"""

from __future__ import annotations

import itertools
import runpy
import time
from collections.abc import Iterator

from bot.inference.llama.model import LlamaModel
from bot.inference.sequence import Opening, Step
from bot.running import loading
from tests.scenarios.personalities import FREQUENCY_PENALTY

_WORDS = " and the tide comes and the tide goes,"
_STEP_SECONDS = 0.02
"""A step takes at least that long: a test can do something while a reply grows."""

_ramblers: dict[int, Iterator[int]] = {}
"""By slot: what is said next there."""


class RamblingModel(LlamaModel):
    """Whoever has the rambler's sampling tells a story that never ends, in the same words."""

    def run(self, step: Step) -> dict[int, int]:
        begun = time.perf_counter()
        for action in step.actions:
            if isinstance(action, Opening):
                self._open(action)
        sampled = super().run(step)
        rambling = sampled.keys() & _ramblers.keys()
        for slot in rambling:
            sampled[slot] = next(_ramblers[slot])
        if rambling:
            time.sleep(max(0.0, begun + _STEP_SECONDS - time.perf_counter()))
        return sampled

    def _open(self, opening: Opening) -> None:
        _ramblers.pop(opening.slot, None)
        if opening.sampling.frequency_penalty == FREQUENCY_PENALTY:
            words = self.vocabulary.tokenize(_WORDS)
            said = len(opening.generated) % len(words)
            _ramblers[opening.slot] = itertools.islice(itertools.cycle(words), said, None)


def run() -> None:
    loading.LlamaModel = RamblingModel  # type: ignore[attr-defined]
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run()
