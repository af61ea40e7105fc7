"""Markdown as Discord shows it."""

from __future__ import annotations

import pytest
from hypothesis import given

from adapters.discord.markup import render
from tests.adapters.discord.conftest import pings
from tests.contracts.adapter import MARKDOWN, quickly

J = "\u2060"


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("# Title\n**bold** `code`", "# Title\n**bold** `code`"),
        ("#### Deep ####", "**Deep**"),
        ("![cat](https://x.org/c.png)", "[cat](https://x.org/c.png)"),
        ("| a | bb |\n|---|---|\n| 1 | 2 |", "```\na | bb\n--+---\n1 | 2\n```"),
        ("a\n\n|a|b|\n|-|-|\n|1|2|\nend", "a\n\n```\na | b\n--+--\n1 | 2\n```\nend"),
        (
            "|a|b|\n|-|-|\n|1|2|\n![c](https://x.org)",
            "```\na | b\n--+--\n1 | 2\n```\n[c](https://x.org)",
        ),
        ("```\n| a | b |\n|---|---|\n```", "```\n| a | b |\n|---|---|\n```"),
        ("```py\n#### x\n```", "```py\n#### x\n```"),
        ("| a | b |\n|---|---|\n| **1** | x \\| y |", "```\na | b\n--+------\n1 | x | y\n```"),
        (
            "| [x](https://x.org) |\n|---|\n| https://x.org |",
            "```\nx (https://x.org)\n-----------------\nhttps://x.org\n```",
        ),
        ("> | a | b |\n> |---|---|\n> | 1 | 2 |", "> ```\n> a | b\n> --+--\n> 1 | 2\n> ```"),
        (
            "- | a | b |\n  |---|---|\n  | 1 | 2 |\n- c",
            "- ```\n  a | b\n  --+--\n  1 | 2\n  ```\n- c",
        ),
        (
            "1. a\n\n    ```\n    | a | b |\n    |---|---|\n    ```\n",
            "1. a\n\n   ```\n   | a | b |\n   |---|---|\n   ```",
        ),
        ("- x\n| a | b |\n|---|---|\n| 1 | 2 |", "- x\n```\na | b\n--+--\n1 | 2\n```"),
        ("> #### Deep", "> **Deep**"),
        ("#### About C#", "**About C#**"),
        ("#### **Deep** end", "**Deep end**"),
        ("`![cat](https://x.org/c.png)` is an image", "`![cat](https://x.org/c.png)` is an image"),
        ('![cat](https://x.org/c.png "Tom")', "[cat](https://x.org/c.png)"),
        ("hello @everyone", f"hello @{J}everyone"),
        ("<@123> <@&5> <#7>", f"<{J}@123> <{J}@&5> <{J}#7>"),
        ("mail me@here.org </div> a<b", f"mail me@{J}here.org </div> a<b"),
        ("a\r\nb\x00c", "a\nbc"),
        ("\ud800", "?"),
    ],
)
def test_markdown_becomes_what_discord_renders(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@quickly
@given(MARKDOWN)
def test_nothing_pings_and_nothing_is_lost(markdown: str) -> None:
    rendered = render(markdown)
    assert not pings(rendered)
    assert rendered.strip() or not any(map(str.isalnum, markdown))
