"""Compares a requantised copy with its original: its divergence and its speed on a passage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.generation import ChatMessage, Sampling
from bot.inference.core.sequence import Chunk, Opening, Release, Step

PASSAGE = Path(__file__).with_name("passage.txt")
_BLOCK = 64
"""Tokens whose logits are in memory at once; a row of logits is up to a megabyte."""
_NUM_PREFILL, _NUM_DECODE, _ROUNDS = 256, 24, 3
_GREEDY = Sampling(temperature=0)

Scores = npt.NDArray[np.float32]


class Measured(Protocol):
    """A model that can be compared, such as ``LlamaModel``."""

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]: ...
    def run(self, step: Step) -> dict[int, list[int]]: ...
    def scores(self, chunk: Chunk) -> Scores:
        """Evaluate the chunk; the logits after each of its tokens."""
        ...


@dataclass(frozen=True, slots=True)
class Likeness:
    """``divergence``: mean KL divergence from the original, in nats per token.

    ``agreement``: share of tokens after which both models predict the same token.
    """

    divergence: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second in the prefill of a prompt and in the decoding of a single reply."""

    prefill: float
    decode: float


def likeness(original: Measured, copy: Measured) -> Likeness:
    """Compares the predictions of both models after every token of the passage."""
    return _likeness(original, copy, num_pieces=1)


def rounding(original: Measured) -> Likeness:
    """How much a model differs from itself when it evaluates the passage in smaller chunks."""
    return _likeness(original, original, num_pieces=2)


def _likeness(one: Measured, other: Measured, *, num_pieces: int) -> Likeness:
    tokens = _passage(one)
    divergences: list[float] = []
    num_same = 0
    for start in range(0, len(tokens), _BLOCK):
        block = tokens[start : start + _BLOCK]
        ours, theirs = _scores(one, 0, start, block, 1), _scores(other, 1, start, block, num_pieces)
        divergences += kl_divergence(ours, theirs).tolist()
        num_same += int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    one.run(Step([Release(0)], []))
    other.run(Step([Release(1)], []))
    return Likeness(sum(divergences) / len(tokens), num_same / len(tokens))


def _scores(model: Measured, slot: int, start: int, block: list[int], num_pieces: int) -> Scores:
    size = -(-len(block) // num_pieces)
    pieces = [block[at : at + size] for at in range(0, len(block), size)]
    rows = [
        model.scores(Chunk(slot, start + n * size, piece, True)) for n, piece in enumerate(pieces)
    ]
    return np.concatenate(rows)


def kl_divergence(one: Scores, other: Scores) -> npt.NDArray[np.float64]:
    """Divergence of ``other``'s distribution from ``one``'s, for each row of logits, in nats."""
    p, q = _log_probabilities(one), _log_probabilities(other)
    divergences: npt.NDArray[np.float64] = (np.exp(p) * (p - q)).sum(axis=1)
    return divergences


def speeds(
    models: Sequence[Measured], clock: Callable[[], float] = time.perf_counter
) -> list[Speed]:
    """The best of several rounds, alternating, so that a busy moment affects all models."""
    tokens = _passage(models[0])[:_NUM_PREFILL]
    rounds = [[_speed(model, tokens, clock) for model in models] for _ in range(_ROUNDS)]
    return [
        Speed(max(s.prefill for s in one), max(s.decode for s in one))
        for one in zip(*rounds, strict=True)
    ]


def _speed(model: Measured, tokens: list[int], clock: Callable[[], float]) -> Speed:
    at = [clock()]
    model.run(Step([Opening(0, _GREEDY, [])], [Chunk(0, 0, tokens, True)]))
    at.append(clock())
    for n in range(_NUM_DECODE):
        model.run(Step([], [Chunk(0, len(tokens) + n, [tokens[n]], True)]))
    at.append(clock())
    model.run(Step([Release(0)], []))
    return Speed(len(tokens) / (at[1] - at[0]), _NUM_DECODE / (at[2] - at[1]))


def _passage(model: Measured) -> list[int]:
    return model.encode([ChatMessage("user", PASSAGE.read_text(encoding="utf-8"))])


def _log_probabilities(scores: Scores) -> npt.NDArray[np.float64]:
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    logs: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
