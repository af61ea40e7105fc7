"""The process that tries a model: what the engine would compute, where dying hurts nobody.

Arguments: the model file, and ``LlamaOptions`` as JSON. stdout: before each piece of work a
line of the seconds after which it has surely ended, and what it is. Exit code 3: llama.cpp
refuses the model, for the reason in the last line.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

from bot.errors import ModelError
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.sequence import Action, Chunk, Opening, Release, Step
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.types import Sampling

REFUSED = 3
SLOWEST_DISK = 10e6
"""Bytes a second: the first token reads most of the file."""
FACTOR = 5
"""A token among others may take that many times as long as one alone: others compute, too."""
_LEFT_ALONE = 600
_ALPHABET = 64
_TAIL = 32
"""Tokens of a prompt's second step."""
_GREEDY = Sampling(temperature=0)


def main(path: str, options: str) -> int:
    behave()
    try:
        _compute(Path(path), LlamaOptions(**json.loads(options)))
    except (ModelError, NoRoom, StepFailed) as error:
        sys.stdout.write(f"{error}\n")
        return REFUSED
    return 0


def behave() -> None:
    """Ctrl-C ends it, no file of its memory is left, and it goes first where memory is short."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def say(seconds: float, what: str) -> None:
    """It ends by itself where nobody is left to end it."""
    signal.alarm(_LEFT_ALONE + int(seconds))
    sys.stdout.write(f"{seconds:.1f} {what}\n")
    sys.stdout.flush()


def _compute(path: Path, options: LlamaOptions) -> None:
    patience = path.stat().st_size / SLOWEST_DISK
    say(patience, "loaded it")
    model = LlamaModel(path, options, on_progress=lambda _: say(patience, "loaded it"))
    say(patience, "computed a token")
    _run(model, 0, [1])
    started = time.monotonic()
    _run(model, 1, [1])
    seconds = FACTOR * (time.monotonic() - started)
    num = min(options.max_running, model.num_slots, model.num_cells // 4)
    say(num * seconds, f"computed {num} sequences at once")
    _run(model, 0, [1] * num)
    _run(model, 1, [1] * num)
    size = min(model.max_batch, model.window - _TAIL, model.num_cells - _TAIL)
    say((size + _TAIL) * seconds, f"read a prompt of {size + _TAIL} tokens")
    _run(model, 0, [size])
    _run(model, size, [_TAIL])
    model.close()


def _run(model: LlamaModel, start: int, sizes: list[int]) -> None:
    """One step: as many tokens of each sequence, from ``start`` on; at 0 they begin afresh."""
    slots = range(len(sizes))
    actions: list[Action] = []
    if not start:
        actions += [Release(slot) for slot in range(model.num_slots)]
        actions += [Opening(slot, _GREEDY, []) for slot in slots]
    chunks = [
        Chunk(slot, start, _tokens(size), True) for slot, size in zip(slots, sizes, strict=True)
    ]
    model.run(Step(actions, chunks))


def _tokens(size: int) -> list[int]:
    """Any will do."""
    return list(islice(cycle(range(_ALPHABET)), size))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
