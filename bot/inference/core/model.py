"""What the engine needs of a model: the port between policy and native code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.inference.core.sequence import Step
from bot.types import ChatMessage


@dataclass(frozen=True, slots=True)
class Tag:
    """What stands before and after the reasoning; nothing after it: the answer follows at once."""

    opens: bytes
    closes: bytes


class NoRoom(Exception):
    """llama_decode returned 1: the step's chunks found no room; nothing was evaluated."""


class NotRestored(Exception):
    """These ``slots`` stayed empty; all other actions are done, nothing was evaluated."""

    def __init__(self, slots: Sequence[int]) -> None:
        super().__init__(f"the states for slots {', '.join(map(str, slots))} were refused")
        self.slots = tuple(slots)


class StepFailed(Exception):
    """The step failed and left partial state; the model must be ``reset``."""


class Model(Protocol):
    """A loaded model with one KV pool.

    ``run``, ``reset`` and ``keeps_states`` are called from one worker only, one at a time.
    ``encode``, ``can_follow``, ``piece`` and ``is_end`` only read; any thread may call them.
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
    def fingerprint(self) -> str:
        """The same for two models only if one can read the states that the other saved."""
        ...

    @property
    def max_batch(self) -> int:
        """Tokens that one step may carry."""
        ...

    @property
    def num_resampled(self) -> int:
        """Tokens chosen a second time, since their reply's grammar refused the first choice."""
        ...

    def can_follow(self, grammar: str) -> bool:
        """Whether replies can be held to this grammar (GBNF)."""
        ...

    @property
    def open_tag(self) -> Tag | None:
        """The reasoning tag that every prompt ends with, if its template leaves one open."""
        ...

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Prompt tokens in the model's own chat template, ready for an answer."""
        ...

    def piece(self, token: int) -> bytes:
        """A token's bytes. May be part of a character. Of special tokens only tags have any."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether the token ends a reply."""
        ...

    def run(self, step: Step) -> dict[int, int]:
        """Do a step; slot -> sampled token, NO_TOKEN where a grammar cannot go on.

        Raises NoRoom, NotRestored or StepFailed.
        """
        ...

    def keeps_states(self) -> bool:
        """Whether a state is the same after saving and restoring; tried on an empty pool."""
        ...

    def reset(self) -> None:
        """Forget every cell and sampler chain."""
        ...

    def close(self) -> None: ...
