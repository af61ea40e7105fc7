"""Figures as Markdown tables, so that what is printed can stand in a README as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """``notes`` say what the figures mean; ``failures`` why they are none. One line each."""

    title: str
    columns: Row
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    failures: Sequence[str] = ()

    def __str__(self) -> str:
        widths = [max(map(len, cells)) for cells in zip(self.columns, *self.rows, strict=True)]
        head = [_line(self.columns, widths), _line(["-" * width for width in widths], widths)]
        body = [_line(row, widths) for row in self.rows]
        return "\n".join([f"### {self.title}", "", *head, *body, *self._remarks()])

    def _remarks(self) -> list[str]:
        remarks = [*self.notes, *(f"FAILED: {failure}" for failure in self.failures)]
        return ["", *(f"- {remark}" for remark in remarks)] if remarks else []


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return f"| {' | '.join(padded)} |"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1] if ordered else 0.0


def at_least(value: float, bound: float) -> str:
    return f">= {bound:g}: {_verdict(value >= bound)}"


def at_most(value: float, bound: float) -> str:
    return f"<= {bound:g}: {_verdict(value <= bound)}"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "MISSED"
