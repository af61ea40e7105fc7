"""Make ``recorded.jsonl`` anew: what the real model says to ``ASKED``, unguarded.

    python -m tests.bot.inference.replies.record > tests/bot/inference/replies/recorded.jsonl

One line is one reply. Its label is proposed here and has to be checked by reading:

- ``loop``: from token ``loops_at`` on it says only what it said just before, but for a
  counter or the order of its phrases;
- ``drifts``: it goes in circles, each a little different from the one before, or loops so
  shortly before its end that nobody can expect to catch it;
- ``honest``: neither.

Another machine rounds otherwise, so the replies differ, and the labels with them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

from bot.generation import ChatMessage, Sampling
from bot.inference.core.sequence import Sequence
from bot.inference.llama.model import LlamaModel
from bot.inference.llama.options import LlamaOptions
from bot.inference.model_files import locate
from bot.inference.scheduling.scheduler import Scheduler
from tests.bot.inference.replies.asked import ASKED

_SYSTEM = ChatMessage("system", "You are a helpful AI assistant named Parley.")
_MAX_TOKENS, _MAX_RUNNING = 512, 8
_MIN_REPEATED = 40


def record() -> Iterator[dict[str, object]]:
    options = LlamaOptions(num_cells=16_384, max_running=_MAX_RUNNING)
    model = LlamaModel(locate.locate(locate.EMBEDDED), options)
    sequences = [_sequence(model, number) for number in range(len(ASKED))]
    _generate(model, sequences)
    for (prompt, sampling), sequence in zip(ASKED, sequences, strict=True):
        tokens = sequence.tokens[sequence.num_prompt :]
        loops_at = _propose(tokens)
        yield {
            "prompt": prompt,
            "sampling": _written(sampling),
            "label": "honest" if loops_at is None else "loop",
            "loops_at": loops_at,
            "text": b"".join(map(model.piece, tokens)).decode("utf-8", "replace"),
            "tokens": tokens,
        }
    model.close()


def _sequence(model: LlamaModel, number: int) -> Sequence:
    prompt, sampling = ASKED[number]
    tokens = model.encode([_SYSTEM, ChatMessage("user", prompt)])
    return Sequence(number, f"person {number}", tokens, _MAX_TOKENS, sampling)


def _generate(model: LlamaModel, sequences: list[Sequence]) -> None:
    scheduler = Scheduler(
        max_running=_MAX_RUNNING,
        max_waiting=len(sequences),
        num_cells=model.num_cells,
        max_batch=model.max_batch,
        num_slots=model.num_slots,
    )
    for sequence in sequences:
        scheduler.add(sequence)
    while any(not sequence.is_finished for sequence in sequences):
        step = scheduler.plan()
        if step is not None:
            scheduler.apply(step, model.run(step), model.is_end)


def _written(sampling: Sampling) -> dict[str, object]:
    """What differs from the defaults."""
    usual = asdict(Sampling())
    return {name: value for name, value in asdict(sampling).items() if value != usual[name]}


def _propose(tokens: list[int]) -> int | None:
    """Where the longest end that repeats what stands before it begins; any period is tried."""
    starts = [_start_of_repeats(tokens, period) for period in range(1, len(tokens) // 2)]
    first = min(starts, default=len(tokens))
    return first if len(tokens) - first >= _MIN_REPEATED else None


def _start_of_repeats(tokens: list[int], period: int) -> int:
    at = len(tokens)
    while at > period and tokens[at - 1] == tokens[at - 1 - period]:
        at -= 1
    return at


if __name__ == "__main__":
    for reply in record():
        sys.stdout.write(json.dumps(reply, ensure_ascii=False) + "\n")
