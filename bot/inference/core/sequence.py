"""One request's tokens and status, and what one engine step does. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from bot.inference.core.saved_state import SavedState
from bot.types import FinishReason, Sampling

NO_TOKEN = -1
"""Stands for a token that a grammar did not find, or not in time; no token has this id."""


class TokenGuard(Protocol):
    """Watches the tokens of one reply; ``num_repeated`` at its end may be taken away."""

    num_repeated: int

    def add(self, token: int) -> bool:
        """Whether the reply, with this token, only repeats itself."""


class Status(Enum):
    """Where a sequence stands; a pre-empted one is waiting again."""

    WAITING = auto()
    PREFILL = auto()
    DECODE = auto()
    FINISHED = auto()


@dataclass(slots=True, eq=False)
class Sequence:
    """One request. ``tokens`` is the prompt followed by what was generated.

    ``num_cached`` of them are evaluated and in the KV pool; while decoding that is all but
    the last. The first ``num_prefix`` are a system prompt that others may share. ``scope``
    bounds who may reuse whose cells; ``thread`` is who speaks again. ``guard`` hears what is
    generated. ``ticket`` orders admission (see Scheduler), and ``num_overtaken`` others were
    admitted before it. ``num_shared``, ``num_resumed`` and ``num_restored`` count the tokens
    that were found in a shared prefix, in the thread's own cells and in its parked state.
    ``is_forgotten``: nothing of it is to be kept. With ``max_tokens`` 0 the prompt is only
    evaluated, for later.
    """

    id: int
    person: str
    tokens: list[int]
    max_tokens: int
    sampling: Sampling
    scope: str = ""
    thread: str | None = None
    num_prefix: int = 0
    is_background: bool = False
    grammar: str | None = None
    guard: TokenGuard | None = None
    num_prompt: int = field(init=False)
    num_cached: int = 0
    num_shared: int = 0
    num_resumed: int = 0
    num_restored: int = 0
    is_forgotten: bool = False
    slot: int | None = None
    status: Status = Status.WAITING
    ticket: int = 0
    num_overtaken: int = 0
    finish_reason: FinishReason | None = None

    def __post_init__(self) -> None:
        self.num_prompt = len(self.tokens)

    @property
    def num_generated(self) -> int:
        return len(self.tokens) - self.num_prompt

    @property
    def held_slot(self) -> int:
        """The slot of a sequence that has one; RuntimeError otherwise: a planning bug."""
        if self.slot is None:
            raise RuntimeError(f"sequence {self.id} has no slot")
        return self.slot

    @property
    def num_pending(self) -> int:
        """Tokens known and not yet evaluated."""
        return len(self.tokens) - self.num_cached

    @property
    def is_finished(self) -> bool:
        return self.status is Status.FINISHED


@dataclass(frozen=True, slots=True)
class Release:
    """Free all cells of the slot, and its sampler chain."""

    slot: int


@dataclass(frozen=True, slots=True)
class Trim:
    """Keep the cells of the slot's first ``num_tokens`` positions, and no sampler chain.

    A chain holds an entry for every token of the vocabulary: 0.6 MB at 49,152, for nobody.
    """

    slot: int
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Share:
    """Let ``target`` hold the cells of the first ``num_tokens`` positions of ``source``, too."""

    source: int
    target: int
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A slot taken by a sequence: a fresh sampler chain that has seen ``generated``.

    ``grammar`` (GBNF): every token is held to it, from the first one of ``generated`` on.
    """

    slot: int
    sampling: Sampling
    generated: list[int]
    grammar: str | None = None


@dataclass(frozen=True, slots=True)
class Offload:
    """Copy the state of the slot, whose cells hold just the tokens of ``saved``, into it."""

    slot: int
    saved: SavedState


@dataclass(frozen=True, slots=True)
class Restore:
    """Put a parked state into the slot, empty so far, and keep its first ``num_tokens``.

    The first ``num_shared`` of them, if any, are given back for the cells of ``prefix``.
    """

    slot: int
    saved: SavedState
    num_tokens: int
    prefix: int | None = None
    num_shared: int = 0


Action = Release | Trim | Share | Opening | Offload | Restore


@dataclass(frozen=True, slots=True)
class Chunk:
    """``tokens`` of one slot from position ``start``; ``wants_token``: sample after the last."""

    slot: int
    start: int
    tokens: list[int]
    wants_token: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the model: the actions in their order, then decode all chunks at once."""

    actions: list[Action]
    chunks: list[Chunk]

    @property
    def num_decode(self) -> int:
        return sum(1 for c in self.chunks if c.wants_token and len(c.tokens) == 1)

    @property
    def num_prefill(self) -> int:
        return sum(len(c.tokens) for c in self.chunks) - self.num_decode

    @property
    def opens(self) -> bool:
        """Whether somebody was admitted."""
        return any(isinstance(action, Opening) for action in self.actions)


def common_length(one: list[int], other: list[int]) -> int:
    """How many first tokens are the same; halving, since slices compare at C speed."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
