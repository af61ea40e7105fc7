"""Checks whether a model continues in the same way from a saved and restored state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.generation import ChatMessage
from bot.inference.core.model import NoRoom, StepFailed
from bot.inference.core.sequence import Chunk
from bot.inference.llama.attention_states import UnknownState
from bot.inference.llama.context import Context

_TOLERANCE = 0.05
"""Of a logit. On a CPU a sequence that is restored alone gives bit-identical logits."""
_TEXT = ChatMessage("user", "Which of the seven bridges did you like most, and why?")
_NUM_TOKENS = 8
"""Of the text: every start waits for them."""


_ATTENTION_TOLERANCE = 1.0
"""Of a logit: rounding depends on the attention."""
_NUMBERS = range(100, 100 + _NUM_TOKENS)


class HasStates(Protocol):
    """A model with an empty pool, as far as the check needs it."""

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]: ...
    def logits(self, chunk: Chunk) -> npt.NDArray[np.float32]: ...
    def save(self, slot: int) -> memoryview: ...
    def load(self, slot: int, state: memoryview) -> bool: ...
    def clear(self, slot: int) -> None: ...


def are_kept(model: HasStates) -> bool:
    """Whether the next token's logits are the same after restoring as before."""
    tokens = model.encode([_TEXT])[:_NUM_TOKENS]
    last = len(tokens) - 1
    try:
        model.logits(Chunk(0, 0, tokens[:last], True))
        state = model.save(0)
        before = model.logits(Chunk(0, last, tokens[last:], True))
        model.clear(0)
        if not model.load(0, state):
            return False
        after = model.logits(Chunk(0, last, tokens[last:], True))
        return bool(np.abs(after - before).max() <= _TOLERANCE)
    except (NoRoom, StepFailed):
        return False
    finally:
        model.clear(0)


def can_change(one: Context, other: Context) -> bool:
    """Whether a sequence goes on in a context with another attention, both of them empty lanes."""
    return _goes_on(one, other) and _goes_on(other, one)


def _goes_on(one: Context, other: Context) -> bool:
    source, target = one.first_slot, other.first_slot
    *tokens, last = _NUMBERS
    try:
        one.logits(Chunk(source, 0, tokens, True))
        state = one.memory.save(source)
        before = one.logits(Chunk(source, len(tokens), [last], True))
        if not other.memory.load(target, state):
            return False
        after = other.logits(Chunk(target, len(tokens), [last], True))
        return bool(np.abs(after - before).max() <= _ATTENTION_TOLERANCE)
    except (NoRoom, StepFailed, UnknownState):
        return False
    finally:
        one.memory.remove(source, 0)
        other.memory.remove(target, 0)
