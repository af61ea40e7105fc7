"""Lanes: how the cells of a model are divided into streams, where sequences do not share a pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STREAM_QUANTUM = 256
"""The length of a stream is a multiple of it: attention covers so many cells at once."""
MAX_STREAMS = 256
"""Of one lane: llama.cpp has no more sequence ids. The slots of lanes begin at its multiples."""
FIRST_SHELF = 1 << 20
"""Slots from here on are shelves: a shelf keeps a shared prefix outside the lanes, to be copied."""


@dataclass(frozen=True, slots=True)
class Lane:
    """``num_streams`` streams of ``stream_cells`` cells; their slots are ``first`` and the next.

    A step evaluates the sequences of one lane together. Each costs attention over as many cells
    as the longest of them uses, and runs of consecutive slots are evaluated one after another.
    ``is_flash``: it has flash attention, unlike the others, for a long prompt that is alone.
    """

    first: int
    num_streams: int
    stream_cells: int
    is_flash: bool = False

    @property
    def num_cells(self) -> int:
        return self.num_streams * self.stream_cells

    @property
    def slots(self) -> range:
        return range(self.first, self.first + self.num_streams)


Lanes = tuple[Lane, ...]


def equal_lanes(num_cells: int, max_running: int) -> Lanes:
    """One lane, whose streams are as long as they can be for ``max_running`` sequences."""
    size = max(STREAM_QUANTUM, round_down(num_cells // max_running))
    return (Lane(0, min(max_running, num_cells // size, MAX_STREAMS), size),)


def lane_of(lanes: Sequence[Lane], slot: int) -> Lane:
    return next(lane for lane in lanes if slot in lane.slots)


def round_up(num_cells: int) -> int:
    return -(-num_cells // STREAM_QUANTUM) * STREAM_QUANTUM


def round_down(num_cells: int) -> int:
    return num_cells // STREAM_QUANTUM * STREAM_QUANTUM
