"""The process that tries a model: it computes what the engine would, and may crash.

Arguments: the model file, and as JSON ``LlamaOptions`` and, if something is to be measured, a
``TuningSpace``. Before each piece of work it writes a line to stdout: the seconds within which the
work must end, and its name. The line ``proved`` says that the model computes; a ``Tuning`` may
follow it. Exit code 3: llama.cpp refuses the model for the reason in the last line.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import llama_cpp as llama

from bot.errors import ModelError
from bot.generation import Sampling
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.sequence import Action, Chunk, Opening, Release, Step
from bot.inference.gguf.parts import num_bytes_of
from bot.inference.llama.apart import apart
from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.files import AttentionKind, load_weights
from bot.inference.llama.measuring import Measurement
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.llama.tuning import Tuning, TuningSpace

REFUSED = 3
PROVED = "proved"
SLOWEST_DISK = 10e6
"""Bytes a second: the first token reads most of the file."""
FACTOR = 5
"""How much longer than the first token others may take, since other processes compute too."""
_LEFT_ALONE = 600
_ALPHABET = 64
_TAIL = 32
"""Tokens of the second step of the long prompt."""
_MEASURED_TOKENS = 512
"""In whose time each measurement ends."""
_GREEDY = Sampling(temperature=0)


def main(path: str, options: str, space: str = "") -> int:
    behave()
    file, chosen = Path(path), LlamaOptions(**json.loads(options))
    try:
        proved = _compute(file, chosen)
    except (ModelError, NoRoom, StepFailed) as error:
        tell(str(error))
        return REFUSED
    tell(PROVED)
    if space and not (chosen.gpu_layers and supports_gpu()):
        among = proved.allowed(TuningSpace.of_json(json.loads(space)))
        tuning = _measure(file, chosen, among, proved.seconds) if among else Tuning({})
        tell(tuning.to_text())
    return 0


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


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
    tell(f"{seconds:.1f} {what}")


@dataclass(frozen=True, slots=True)
class _Proved:
    """What is known of a model that computes. ``seconds``: how long a token may take."""

    kind: AttentionKind
    keeps_states: bool
    seconds: float

    def allowed(self, space: TuningSpace) -> TuningSpace | None:
        """Those that the model can have; None if there is no choice."""
        if self.kind is AttentionKind.RECURRENT:
            return None
        if not self.keeps_states:
            space = replace(space, kv_layout=space.kv_layout[:1])
        return space if space.is_choice else None


def _compute(path: Path, options: LlamaOptions) -> _Proved:
    patience = num_bytes_of(path) / SLOWEST_DISK
    say(patience, "loaded it")
    model = LlamaModel(path, options, on_progress=lambda _: say(patience, "loaded it"))
    say(patience, "computed a token")
    _run(model, 0, [1])
    started = time.monotonic()
    _run(model, 1, [1])
    seconds = FACTOR * (time.monotonic() - started)
    num_slots, num_cells = _room(model)
    num = min(options.max_running, num_slots, model.num_cells // 4)
    say(2 * num * seconds, f"computed {num} sequences at once")
    _run(model, 0, [1] * num)
    _run(model, 1, [1] * num, num_draft=1 if model.can_reuse else 0)
    size = min(model.max_batch, model.window - _TAIL, num_cells - _TAIL)
    say((size + _TAIL) * seconds, f"read a prompt of {size + _TAIL} tokens")
    _run(model, 0, [size])
    _run(model, size, [_TAIL])
    _run(model, 0, [])
    proved = _Proved(model.kind, model.keeps_states(), seconds)
    model.close()
    return proved


def _measure(path: Path, options: LlamaOptions, space: TuningSpace, seconds: float) -> Tuning:
    """With weights of its own, so that the memory of the model's cells is free."""
    patience = num_bytes_of(path) / SLOWEST_DISK
    say(patience, "loaded it again")
    model = apart(lambda: load_weights(path, options.gpu_layers))
    try:
        longest = seconds * _MEASURED_TOKENS
        return Measurement(model, options, lambda what: say(longest, what)).run(space)
    except (ModelError, NoRoom, StepFailed) as error:
        return Tuning({}, fault=str(error))
    finally:
        llama.llama_model_free(model)


def _room(model: LlamaModel) -> tuple[int, int]:
    """How many slots there are, and how many cells the first of them may take."""
    if model.lanes:
        return model.lanes[0].num_streams, model.lanes[0].stream_cells
    return model.num_slots, model.num_cells


def _run(model: LlamaModel, start: int, sizes: list[int], num_draft: int = 0) -> None:
    """One step with ``sizes`` tokens of the sequences; those that start at 0 are new."""
    slots = range(len(sizes))
    actions: list[Action] = []
    if not start:
        actions += [Release(slot) for slot in range(_room(model)[0])]
        actions += [Opening(slot, _GREEDY, []) for slot in slots]
    chunks = [
        Chunk(slot, start, _tokens(size), True, draft=_tokens(num_draft))
        for slot, size in zip(slots, sizes, strict=True)
    ]
    model.run(Step(actions, chunks))


def _tokens(size: int) -> list[int]:
    """Any tokens will do."""
    return list(islice(cycle(range(_ALPHABET)), size))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
