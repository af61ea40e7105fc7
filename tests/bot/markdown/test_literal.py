"""Text that is shown as it is, whatever marks it has."""

from __future__ import annotations

import random

from bot.markdown.literal import literally
from bot.markdown.parser import parse
from bot.markdown.tree import Paragraph, Quote, TextSpan

_PIECES = (
    *"\\*_`~<>&[]()$#!|{}^=+ab1日。.:/\"”“'- ",
    *("](", "\\(", "\\)", "$$", "\\[", "\\]", "**", "__", "~~", "<b>", "&lt;", "&#38;", " a", "5 "),
)


def seen(markdown: str) -> str:
    """All of it, if nothing in it is a mark."""
    (quote,) = parse(f"> “{markdown}” [1]")
    assert isinstance(quote, Quote)
    (block,) = quote.blocks
    assert isinstance(block, Paragraph)
    return "".join(each.content if isinstance(each, TextSpan) else "?" for each in block.spans)


def test_any_text_is_seen_as_it_is_wherever_it_is_cut() -> None:
    chance = random.Random(1)  # noqa: S311
    for _ in range(2_000):
        text = "".join(chance.choices(_PIECES, k=chance.randint(2, 16))).strip()
        start, end = sorted(chance.sample(range(len(text) + 1), 2)) if text else (0, 0)
        assert seen("".join(literally(text)[start:end])) == f"“{text[start:end]}” [1]"


def test_what_is_no_mark_has_no_backslash() -> None:
    for text in (
        "Tickets are $5, for children $3 (5 * 3 = 15), in snake_case & more: a < b, ~5 [1].",
        r"C:\new\file of https://example.org/a_b?c=*d*&lt;e",
    ):
        assert "".join(literally(text)) == text
