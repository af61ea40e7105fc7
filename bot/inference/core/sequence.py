"""A sequence (one request) and a step (one call of the model). Data only, no policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Protocol

from bot.generation import FinishReason, Sampling
from bot.inference.core.calls import AnyGrammar
from bot.inference.core.lanes import Lanes
from bot.inference.core.saved_state import SavedState

NO_TOKEN = -1
"""Sampled where the grammar allows no token; no token has this id."""

UNSAMPLED = -2
"""In a step that is planned ahead: the token that the step before it samples for the slot."""


class Forced(int):
    """A token that was the only one which the grammar allowed."""


class TokenGuard(Protocol):
    """Watches the tokens of one reply; its last ``num_repeated`` may be removed."""

    num_repeated: int

    def add(self, token: int, *, is_forced: bool = False) -> bool:
        """Take the next token; whether the reply now only repeats itself, of its own choice."""


class Status(Enum):
    """The status of a sequence; a preempted one is WAITING again."""

    WAITING = auto()
    PREFILL = auto()
    DECODE = auto()
    FINISHED = auto()


@dataclass(slots=True, eq=False)
class Logprobs:
    """What a reply wants to know of its tokens, and what the model has noted of each.

    An entry of ``noted`` is the token and then the ``num_top`` likeliest ones, each with the
    logarithm of its probability; there is one for every token that was sampled.
    """

    num_top: int
    noted: list[list[tuple[int, float]]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Sequence:
    """One request. ``tokens`` is the prompt, followed by the generated tokens.

    The first ``num_cached`` tokens are in the KV pool; in decode that is all but the last one
    and those that were ``Forced`` with it.
    The first ``num_prefix`` are a system prompt that other sequences may share; all of the prompt
    if it ``shares_prompt``, because others with the same one come at the same time. Cells are
    reused only within one ``scope``; ``thread`` names the conversation. ``guard`` gets every
    generated token. ``forced``: what the reply must begin with.
    ``ticket`` orders admission (see FairQueue); ``num_overtaken`` sequences were admitted before
    this one out of turn. ``num_shared``, ``num_resumed`` and ``num_restored`` count the tokens
    found in a shared prefix, in the thread's own cells and in its saved state.
    ``is_forgotten``: its cells are not kept. With ``max_tokens`` 0 the prompt is only prefilled,
    for later.
    """

    id: int
    person: str
    tokens: list[int]
    max_tokens: int
    sampling: Sampling
    scope: str = ""
    thread: str | None = None
    num_prefix: int = 0
    shares_prompt: bool = False
    is_background: bool = False
    grammar: AnyGrammar | None = None
    logprobs: Logprobs | None = None
    guard: TokenGuard | None = None
    forced: list[int] = field(default_factory=list)
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
    def is_warming(self) -> bool:
        """Nobody waits for it."""
        return self.is_background and not self.max_tokens

    @property
    def num_generated(self) -> int:
        return len(self.tokens) - self.num_prompt

    @property
    def held_slot(self) -> int:
        """The slot of a running sequence; RuntimeError (a planning bug) where it has none."""
        if self.slot is None:
            raise RuntimeError(f"sequence {self.id} has no slot")
        return self.slot

    @property
    def num_pending(self) -> int:
        """Tokens that are not evaluated yet."""
        return len(self.tokens) - self.num_cached

    @property
    def is_finished(self) -> bool:
        return self.status is Status.FINISHED


@dataclass(frozen=True, slots=True)
class Release:
    """Free the slot's cells and its sampler chain."""

    slot: int


@dataclass(frozen=True, slots=True)
class Trim:
    """Keep the cells of the slot's first ``num_tokens`` positions; free its sampler chain.

    A chain has an entry for every token of the vocabulary: 0.6 MB where there are 49,152.
    """

    slot: int
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Share:
    """Add ``target`` to the cells of the first ``num_tokens`` positions of ``source``.

    Between the streams of lanes, and between a stream and a shelf, these cells are copied.
    """

    source: int
    target: int
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A sequence takes a slot: make a sampler chain that has accepted ``generated``.

    ``grammar`` (of llguidance) constrains every token, from the first one of ``generated`` on.
    ``logprobs``: where the model notes the probabilities of what it samples; each token is
    sampled then, those that the grammar forces, too.
    """

    slot: int
    sampling: Sampling
    generated: list[int]
    grammar: AnyGrammar | None = None
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True)
class Offload:
    """Copy the slot's state into ``saved``; the slot has exactly the tokens of ``saved``."""

    slot: int
    saved: SavedState


@dataclass(frozen=True, slots=True)
class Restore:
    """Restore a saved state into the empty slot, and keep its first ``num_tokens``.

    The cells of the first ``num_shared`` are freed again; the slot shares those of ``prefix``.
    """

    slot: int
    saved: SavedState
    num_tokens: int
    prefix: int | None = None
    num_shared: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """Move the cells and the sampler chain of ``source`` to the empty slot ``target``."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class Arrange:
    """Replace the lanes by ``lanes``; those that stay keep their cells.

    The slots of lanes that go are empty but for the sources of ``moves``.
    """

    lanes: Lanes
    moves: tuple[Move, ...] = ()


Action = Release | Trim | Share | Opening | Offload | Restore | Move | Arrange


@dataclass(slots=True, eq=False)
class DraftRequest:
    """Asks a draft model how ``tokens``, all that a sequence has, may go on.

    The model puts at most ``num_tokens`` into ``draft``, before it evaluates the step, and notes
    how many of ``tokens`` its draft model has evaluated, how many of those in this step, and this
    request's share of the ``seconds`` that it took. There is no draft until it has them all.
    """

    sequence: int
    tokens: list[int]
    num_tokens: int
    draft: list[int] = field(default_factory=list)
    num_evaluated: int = 0
    num_caught_up: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """``tokens`` of one slot from position ``start``. ``wants_token``: sample after the last.

    ``is_reply``: all were generated, all but one of them forced by the grammar. ``draft``: tokens
    that may follow. They are evaluated in the same step, and those that are not sampled are
    removed again. With a ``request`` they are what comes of it; it has cells for all it may get.
    """

    slot: int
    start: int
    tokens: list[int]
    wants_token: bool
    is_reply: bool = False
    draft: list[int] = field(default_factory=list)
    request: DraftRequest | None = None

    @property
    def num_cells(self) -> int:
        return len(self.tokens) + len(self.draft)

    @property
    def num_planned(self) -> int:
        """The cells that are its own until the step is done."""
        most = self.request.num_tokens if self.request else len(self.draft)
        return len(self.tokens) + most

    def num_accepted(self, sampled: list[int]) -> int:
        """Tokens of the draft whose cells stay. The last sampled token never has one yet."""
        return common_length(sampled[:-1], self.draft)


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the model: do the actions in order, then evaluate all chunks in one batch."""

    actions: list[Action]
    chunks: list[Chunk]

    @property
    def num_decode(self) -> int:
        return sum(c.is_reply or (c.wants_token and len(c.tokens) == 1) for c in self.chunks)

    @property
    def num_forced(self) -> int:
        """Tokens of replies beyond the one that each gets in a step."""
        return sum(len(c.tokens) - 1 for c in self.chunks if c.is_reply)

    @property
    def num_draft(self) -> int:
        return sum(len(c.draft) for c in self.chunks)

    @property
    def requests(self) -> list[DraftRequest]:
        return [c.request for c in self.chunks if c.request]

    @property
    def draft_seconds(self) -> float:
        """The part of the step's time that a draft model took."""
        return sum(request.seconds for request in self.requests)

    @property
    def num_prefill(self) -> int:
        """Forced tokens are evaluated as those of a prompt are; those of drafts do not count."""
        return sum(len(c.tokens) for c in self.chunks) - self.num_decode

    @property
    def is_ahead(self) -> bool:
        """Whether it was planned while the step before it ran."""
        return any(chunk.tokens == [UNSAMPLED] for chunk in self.chunks)

    def after(self, sampled: Mapping[int, list[int]], is_end: Callable[[int], bool]) -> Step | None:
        """The step with what the one before it has ``sampled``; None if a reply has ended there."""
        chunks = []
        for chunk in self.chunks:
            tokens = sampled.get(chunk.slot, [])
            if len(tokens) != 1 or tokens[0] == NO_TOKEN or is_end(tokens[0]):
                return None
            chunks.append(replace(chunk, tokens=tokens))
        return Step(self.actions, chunks)

    @property
    def moves(self) -> bool:
        """Whether sequences move, or lanes are arranged: its time says nothing of its tokens."""
        return any(isinstance(action, Move | Arrange) for action in self.actions)

    @property
    def opens(self) -> bool:
        """Whether a sequence is admitted in this step."""
        return any(isinstance(action, Opening) for action in self.actions)


def common_length(one: list[int], other: list[int]) -> int:
    """The length of the common prefix, by bisection: slices compare at C speed."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
