"""A table as a person sees it in a font whose letters have one width."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.markdown.drawing import columns, table_lines
from bot.markdown.parser import parse
from bot.markdown.tree import TableBlock

CELLS = "Preis 価格 ｶﾅ 한국어 ราคา कीमत מחיר السعر 👨‍👩‍👧 🇩🇪 ✅ x"


def lines_of(*rows: tuple[str, ...]) -> list[str]:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    markdown = "\n".join((head, "|---" * len(rows[0]) + "|", *rest))
    (block,) = parse(markdown)
    assert isinstance(block, TableBlock)
    return table_lines(block)


def borders(line: str) -> list[int]:
    """The columns in which the bars of a line stand."""
    return [columns(line[:at]) for at, sign in enumerate(line) if sign in "|+"]


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from(CELLS.split())] * 3), min_size=2, max_size=5))
def test_bars_stand_below_one_another_in_every_language(rows: list[tuple[str, ...]]) -> None:
    assert len({tuple(borders(line)) for line in lines_of(*rows)}) == 1


def test_wide_characters_take_two_columns() -> None:
    assert lines_of(("品名", "Preis"), ("りんご", "1"), ("tea", "２"), ("🍎", "3")) == [
        "品名   | Preis",
        "-------+------",
        "りんご | 1",
        "tea    | ２",
        "🍎     | 3",
    ]


@pytest.mark.parametrize(
    ("latex", "cell"),
    [
        (r"\(\frac{a+b}{2}\)", "(a+b)/2"),
        (r"$E = mc^2$", "E = mc²"),
        (r"\(a \\ b\)", "a; b"),
        (r"\(\frac{a\)", r"\frac{a"),
    ],
)
def test_a_formula_in_a_cell_is_read_on_one_line(latex: str, cell: str) -> None:
    assert lines_of(("f",), (latex,))[2] == cell
