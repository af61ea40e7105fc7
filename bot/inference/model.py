"""What the engine needs of a model: the port between policy and native code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bot.inference.sequence import Step
from bot.types import ChatMessage


class NoRoom(Exception):
    """llama_decode returned 1: the step's chunks found no room; nothing was evaluated."""


class StepFailed(Exception):
    """The step failed and left partial state; the model must be ``reset``."""


class Model(Protocol):
    """A loaded model with one KV pool.

    ``run`` and ``reset`` are called from one worker only, one at a time. ``encode``,
    ``piece`` and ``is_end`` only read and may be called from any thread.
    """

    @property
    def name(self) -> str: ...
    @property
    def window(self) -> int:
        """Tokens that one sequence may hold."""
        ...

    @property
    def num_cells(self) -> int: ...
    @property
    def num_slots(self) -> int: ...
    @property
    def can_reuse(self) -> bool:
        """Whether a slot's cells can be trimmed and shared; if not, nothing may be kept."""
        ...

    @property
    def max_batch(self) -> int:
        """Tokens that one step may carry."""
        ...

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Prompt tokens in the model's own chat template, ready for an answer."""
        ...

    def piece(self, token: int) -> bytes:
        """A token's bytes; empty for special tokens. May be part of a character."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether the token ends a reply."""
        ...

    def run(self, step: Step) -> dict[int, int]:
        """Do a step; slot -> sampled token. Raises NoRoom (nothing evaluated) or StepFailed."""
        ...

    def reset(self) -> None:
        """Forget every cell and sampler chain."""
        ...

    def close(self) -> None: ...
