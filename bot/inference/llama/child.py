"""The process that tries a model: it computes what the engine would, and may crash.

Arguments: the model file, and ``LlamaOptions`` as JSON. Before each piece of work it writes a
line to stdout: the seconds within which the work must end, and its name. Exit code 3:
llama.cpp refuses the model for the reason in the last line.
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
from bot.generation import Sampling
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.sequence import Action, Chunk, Opening, Release, Step
from bot.inference.gguf.parts import num_bytes_of
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions

REFUSED = 3
SLOWEST_DISK = 10e6
"""Bytes a second: the first token reads most of the file."""
FACTOR = 5
"""How much longer than the first token others may take, since other processes compute too."""
_LEFT_ALONE = 600
_ALPHABET = 64
_TAIL = 32
"""Tokens of the second step of the long prompt."""
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
    """Ctrl-C ends it, it dumps no core, and the kernel kills it first if memory is short."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def say(seconds: float, what: str) -> None:
    """Report the next piece of work; an alarm ends the process if its parent is gone."""
    signal.alarm(_LEFT_ALONE + int(seconds))
    sys.stdout.write(f"{seconds:.1f} {what}\n")
    sys.stdout.flush()


def _compute(path: Path, options: LlamaOptions) -> None:
    patience = num_bytes_of(path) / SLOWEST_DISK
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
    """One step with ``sizes`` tokens of the sequences; those that start at 0 are new."""
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
    """Any tokens will do."""
    return list(islice(cycle(range(_ALPHABET)), size))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
