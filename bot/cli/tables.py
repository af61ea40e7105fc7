"""Tables of a command's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Cells = Sequence[str]


def aligned(table: Sequence[Cells], num_texts: int) -> list[str]:
    """The first ``num_texts`` columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    align: list[Callable[[str, int], str]] = [str.ljust] * num_texts
    align += [str.rjust] * (len(widths) - num_texts)
    return [
        "  ".join(put(cell, width) for put, cell, width in zip(align, row, widths, strict=True))
        for row in table
    ]
