"""What a scheduler has counted, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DraftSource = Literal["lookup", "model"]
DraftOutcome = tuple[DraftSource, Literal["accepted", "rejected"]]


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """``num_preempted`` and ``num_overtaken`` count sequences, ``num_paused`` steps, since start;
    ``num_ahead`` steps that were planned while the one before them ran.

    ``num_forced`` counts tokens that a grammar left no choice for, and ``num_prefilled`` those of
    them that were evaluated in a step with others of their sequence; ``num_drafted`` counts those
    of drafts. ``num_cells_used`` includes those of the ``num_cached_threads``, which are idle;
    attention runs over ``num_cells_attended``.
    ``num_arranged`` counts arrangements of the lanes, ``num_moved`` sequences that changed slots.
    """

    num_preempted: int
    num_overtaken: int
    num_paused: int
    num_ahead: int
    num_forced: int
    num_prefilled: int
    num_drafted: Mapping[DraftOutcome, int]
    num_cached_threads: int
    num_cells_used: int
    num_cells_attended: int
    num_arranged: int
    num_moved: int
