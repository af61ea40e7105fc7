"""Markdown as Teams shows it: no headings, tables, rules and images, and nothing that pings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.teams.activities.streams import settled
from adapters.teams.markup import render
from tests.adapters.teams.conftest import pings
from tests.contracts.adapter import MARKDOWN


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("Hello *there* **you** ~~not~~", "Hello _there_ **you** ~~not~~"),
        ("# Title\ntext", "**Title**\n\ntext"),
        ("## A **bold** title", "**A bold title**"),
        ("Title\n---\ntext", "Title\n\n────────────────────\n\ntext"),
        ("- one\n- two\n  - three", "- one\n- two\n  - three"),
        ("2. two\n3. three", "2. two\n3. three"),
        ("> quoted\n> more", "> quoted\n> more"),
        ("`code` and `<b>`", "`code` and `<b>`"),
        ("```python\na = b < c\n```", "```\na = b < c\n```"),
        ("[a link](https://x.org/a_b)", "[a link](https://x.org/a_b)"),
        ("see https://x.org/a_b, yes", "see https://x.org/a_b, yes"),
        ("![cat](https://x.org/cat.png)", "[cat](https://x.org/cat.png)"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<at>Everyone</at>", "&lt;at&gt;Everyone&lt;/at&gt;"),
        ("snake_case and 2*3*4", "snake\\_case and 2_3_4"),
        ("- [ ] todo", "- ☐ todo"),
        ("one\ntwo  \nthree", "one  \ntwo  \nthree"),
        ("", ""),
    ],
)
def test_markdown_becomes_what_teams_renders(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


def test_a_table_becomes_a_code_block_with_aligned_columns() -> None:
    assert render("| a | long |\n|---|---|\n| **b** | c |") == (
        "```\na | long\n--+-----\nb | c\n```"
    )


def test_a_mention_in_code_is_broken() -> None:
    assert not pings(render("```\n<at>Everyone</at>\n```"))
    assert not pings(render("`<at>Everyone</at>`"))


def test_a_fence_within_code_does_not_end_it() -> None:
    assert render("````\n```\nx\n````").count("```") == 2


def test_code_keeps_its_indentation_in_a_list() -> None:
    assert render("- so:\n  ```\n  a\n    b\n  ```") == "- so:\n\n  ```\n  a\n    b\n  ```"


@pytest.mark.parametrize(
    ("rendered", "stable"),
    [
        ("Hello wor", "Hello wor"),
        ("Hello \\*\\*wo", "Hello"),
        ("One\n\n- two **th", "One\n\n- two"),
        ("Code:\n\n```\na = 1\n```", "Code:\n\n```\na = 1"),
        ("Code:\n\n```\na = *b", "Code:\n\n```\na = *b"),
        ("Table:\n\n| a | b |", "Table:"),
        ("One\n\n-", "One"),
        ("One\n\n1.", "One"),
        ("", ""),
    ],
)
def test_what_more_text_could_change_is_held_back(rendered: str, stable: str) -> None:
    assert settled(rendered) == stable


REPLY = """# Plan

Here is **what** to do with `code` and [a link](https://x.org), see https://x.org/a.

1. First *this*
2. Then that
   - and this

```python
def f(x):
    return x ** 2  # *stars*
```

> A quote

Done & dusted. 5 < 6!
"""


def test_a_common_reply_streams_without_ever_taking_text_back() -> None:
    shown = ""
    for end in range(len(REPLY) + 1):
        now = settled(render(REPLY[:end]))
        assert now.startswith(shown) or shown.startswith(now)
        shown = max(shown, now, key=len)
    assert render(REPLY).startswith(shown)


@settings(max_examples=200, deadline=None)
@given(MARKDOWN, st.integers(0, 30))
def test_any_text_renders_without_a_ping_and_settles_to_a_beginning(
    markdown: str, more: int
) -> None:
    rendered = render(markdown)
    assert not pings(rendered)
    assert rendered.startswith(settled(rendered))
    assert render(markdown + "x" * more) is not None
