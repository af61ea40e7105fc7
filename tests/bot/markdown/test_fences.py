"""Blocks of code in quotes and lists, whole or not."""

from __future__ import annotations

import pytest

from bot.markdown.parser import completed, parse
from bot.markdown.tree import Block, CodeBlock, ListItem, Quote


def code(blocks: tuple[Block, ...]) -> list[str]:
    found: list[str] = []
    for block in blocks:
        if isinstance(block, CodeBlock):
            found.append(block.content)
        elif isinstance(block, Quote | ListItem):
            found += code(block.blocks)
    return found


@pytest.mark.parametrize(
    ("markdown", "content"),
    [
        ("> - ```\n>", [""]),
        ("> - ```\n> x\n>", [""]),
        ("> ```\n> x\n>", ["x"]),
        ("- ```\n  x\n\n", ["x"]),
        ("- > ```\n  > x\n  >", ["x"]),
        ("```\nx\n\n```", ["x"]),
        ("```\n```", [""]),
    ],
)
def test_a_fence_that_ends_with_the_text_is_a_fence(markdown: str, content: list[str]) -> None:
    assert code(parse(markdown)) == content
    parse(completed(markdown))
