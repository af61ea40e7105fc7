"""What whoever runs Parley sees of it: figures, states and faults, and no text of anybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from bot.stored import TurnState
from bot.types import AdapterState


@dataclass(frozen=True, slots=True)
class TurnCount:
    """Answers of a platform that ended so."""

    platform: str
    state: TurnState
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonUsage:
    """``seconds``: the median from a question to the end of its answer; None: not measured."""

    person: str
    answers: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float | None
    likes: int
    dislikes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSummary:
    """Answers since a moment; ``people`` with the most answers first."""

    turns: tuple[TurnCount, ...] = ()
    people: tuple[PersonUsage, ...] = ()
    first_token_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Bytes; None where this system does not tell. ``parked``: threads that were saved."""

    process: int | None
    free: int | None
    free_disk: int | None
    parked_memory: int
    parked_disk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """``status``: ``loading``, ``up`` or ``failing``; ``others``: what can be loaded beside it."""

    name: str
    status: str
    device: str
    window: int | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFault:
    """A personality's file that is not used as it stands; ``line`` 0: not in one line."""

    file: str
    line: int
    sentence: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpeed:
    """Tokens a second that all replies together grew by: now, in a minute, in a quarter."""

    now: float = 0.0
    minute: float = 0.0
    quarter_hour: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """``usage_problem``: why the usage log cannot be read, in a sentence.

    ``watching``: pages and terminals; ``resident_threads``: those in the model's memory.
    """

    version: str
    at: datetime
    started_at: datetime
    model: ModelState
    database: str
    database_detail: str
    running: int
    waiting: int
    watching: int
    resident_threads: int
    speed: TokenSpeed
    memory: MemoryUse
    adapters: tuple[AdapterState, ...]
    personalities: tuple[str, ...]
    faults: tuple[FileFault, ...]
    day: UsageSummary
    week: UsageSummary
    usage_problem: str = ""


ReadOverview = Callable[[], Awaitable[Overview]]
