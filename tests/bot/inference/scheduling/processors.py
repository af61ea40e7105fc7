"""Real processors as cost functions: the seconds, simulated, that a step takes on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.inference.core.sequence import Step

SIZES = (16, 32, 64, 128, 256, 512)
RowCost = Callable[[int, int, int], float]
"""Seconds for each row of a step with so many rows, of which so many are replies', while so many
cells are in use.
"""


@dataclass(frozen=True, slots=True)
class Processor:
    """``fixed``: seconds of a step, whatever is in it."""

    name: str
    fixed: float
    row: RowCost

    def seconds(self, step: Step, num_cells: int) -> float:
        return self.decode(step.num_decode, num_cells) + self.prefill(
            step.num_prefill, step.num_decode, num_cells
        )

    def decode(self, num_replies: int, num_cells: int) -> float:
        """A step without prefill, in which so many replies get a token."""
        return self.fixed + num_replies * self.row(num_replies, num_replies, num_cells)

    def prefill(self, num_tokens: int, num_replies: int, num_cells: int) -> float:
        """The seconds that so many prompt tokens add to it."""
        return num_tokens * self.row(num_tokens + num_replies, num_replies, num_cells)

    def least(self, num_tokens: int, num_replies: int, num_cells: int) -> float:
        """The seconds that they would add in steps of the best size."""
        costs = (self.prefill(size, num_replies, num_cells) / size for size in SIZES)
        return num_tokens * min(costs)


def _amx_with_flash(num_rows: int, _num_replies: int, num_cells: int) -> float:
    """Under 64 rows llama.cpp takes a path that is ten times as slow (measured with SmolLM2)."""
    if num_rows < 64:
        return 0.007 + 18e-6 * num_cells
    return 0.0013 + 1.07e-6 * num_cells


def _emerald_rapids(num_rows: int, _num_replies: int, num_cells: int) -> float:
    """Without AMX (measured with SmolLM2): from 64 rows on, what all rows share counts, too."""
    if num_rows < 64:
        return max(0.004, 13.3e-6 * num_cells - 0.008)
    return 0.0028 + 1.1e-6 * num_cells + 20e-6 * num_cells / num_rows


def _without_flash(_num_rows: int, _num_replies: int, num_cells: int) -> float:
    return 0.0009 + 1.5e-6 * num_cells


def _epyc_with_flash(num_rows: int, num_replies: int, _num_cells: int) -> float:
    """From 64 rows on, prompts beside replies cost a fifth more."""
    return 0.0022 * (1.2 if num_replies and num_rows >= 64 else 1.0)


def _epyc_with_flash_at_depth(num_rows: int, _num_replies: int, num_cells: int) -> float:
    """A stream each, like the next one (both measured with SmolLM2)."""
    slope = 2.85e-6 if num_rows < 64 else 2.4e-6 if num_rows < 128 else 1.1e-6
    return 0.0033 + slope * num_cells


def _epyc_without_flash(_num_rows: int, _num_replies: int, num_cells: int) -> float:
    return 0.0031 + 1.05e-6 * num_cells


def _seven_billion(num_rows: int, _num_replies: int, num_cells: int) -> float:
    return 0.020 + 0.004 * (num_rows < 16) + 0.5e-6 * num_cells


AMX_WITH_FLASH = Processor("AMX with flash attention", 0.004, _amx_with_flash)
EMERALD_RAPIDS = Processor("Emerald Rapids with flash attention", 0.006, _emerald_rapids)
EPYC = Processor("EPYC without flash attention", 0.006, _epyc_without_flash)
EPYC_WITH_FLASH = Processor("EPYC with flash attention at depth", 0.006, _epyc_with_flash_at_depth)
SEVEN_BILLION = Processor("7B on a CPU", 0.150, _seven_billion)
ALL = (
    AMX_WITH_FLASH,
    Processor("AMX without flash attention", 0.006, _without_flash),
    Processor("EPYC with flash attention", 0.006, _epyc_with_flash),
    SEVEN_BILLION,
)
