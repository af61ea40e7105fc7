"""What models write, where CommonMark would read something else."""

from __future__ import annotations

import pytest

from bot.markdown.parser import parse
from bot.markdown.tree import Block, CodeBlock, LineBreak, ListItem, Paragraph, Quote, TextSpan


def text(*lines: str) -> Paragraph:
    spans = [span for line in lines for span in (LineBreak(), TextSpan(line))]
    return Paragraph(tuple(spans[1:]))


@pytest.mark.parametrize(
    ("markdown", "blocks"),
    [
        (">>> print(1)\n1", (text(">>> print(1)", "1"),)),
        ("> >>> print(1)", (Quote((text(">>> print(1)"),)),)),
        ("- >>> print(1)", (ListItem((text(">>> print(1)"),)),)),
        ("> > twice", (Quote((Quote((text("twice"),)),)),)),
    ],
)
def test_the_prompt_of_a_shell_is_no_quote(markdown: str, blocks: tuple[Block, ...]) -> None:
    assert parse(markdown) == blocks


def test_a_fence_that_ends_with_the_text_in_a_quoted_item_is_empty() -> None:
    assert parse("> - ~~~\n>") == (Quote((ListItem((CodeBlock(""),)),)),)
