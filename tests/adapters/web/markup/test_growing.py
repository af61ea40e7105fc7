"""A reply that grows: which blocks change, and what a step costs."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from adapters.web.markup.growing import GrowingPage, html_of
from tests.corpus.answers import answers

STEP = 20
EARLY, LATE = 2_000, 20_000
COUNTED = (
    "_span",
    "walled",
    "coloured",
    "words",
    "code",
    "formula",
    "_class_of",
    "_block",
    "_text",
)


def test_only_the_blocks_that_changed_are_given_again() -> None:
    page = GrowingPage()
    assert page.grow("One.") == (0, ['<p dir="auto">One.</p>'])
    assert page.grow("One.\n\nTw") == (1, ['<p dir="auto">Tw</p>'])
    assert page.grow("One.\n\nTwo") == (1, ['<p dir="auto">Two</p>'])
    assert page.grow("One.\n\nTwo\n\n- a") == (2, ['<ul dir="auto"><li>a</li></ul>'])
    assert page.grow("One.\n\nTwo\n\n- a\n- b") == (
        2,
        ['<ul dir="auto"><li>a</li><li>b</li></ul>'],
    )
    assert page.grow("One.\n\nTwo\n\n- a\n- b\n") == (3, [])
    assert page.grow("One.\n\nTwo\n\n- a\n- b", is_growing=False) == (3, [])


def test_what_becomes_the_next_item_of_a_list_joins_it() -> None:
    page = GrowingPage()
    assert len(page.grow("1. a\n\n2")[1]) == 2
    assert page.grow("1. a\n\n2. b") == (0, ['<ol dir="auto"><li>a</li><li>b</li></ol>'])


def test_code_that_is_not_the_last_block_is_whole_again() -> None:
    page = GrowingPage()
    text = "```python\nif x\n```\n\n"
    assert '<span class="lines">' in page.grow(text)[1][0]
    assert page.grow(f"{text}So")[1][0] == html_of(text)[0]


def test_another_text_begins_anew() -> None:
    page = GrowingPage()
    page.grow("One.\n\nTwo")
    assert page.grow("Three") == (0, ['<p dir="auto">Three</p>'])
    assert page.blocks == ['<p dir="auto">Three</p>']
    assert page.grow("") == (0, [])
    assert page.blocks == []


def test_code_is_code_from_its_first_line_and_is_coloured_as_it_grows() -> None:
    page = GrowingPage()
    (plain,) = page.grow("```python\nif x")[1]
    assert ">if x<" in plain
    assert 'data-lang="python"' in plain
    (begun,) = page.grow("```python\nif x:\n    return\nif y")[1]
    assert '<span class="k">if</span> x:\n' in begun
    assert begun.endswith('<span class="lines">if y</span></code></pre></figure>')
    text = "```python\nif x:\n    return\nif y\n```"
    assert page.grow(text, is_growing=False)[1] == html_of(text)
    assert html_of(text)[0].count('<span class="k">if</span>') == 2


ONE_BLOCK = {
    "a list": "".join(f"- item **{n}** has some words\n" for n in range(900)),
    "code": "```python\n" + "".join(f"print({n}, 'text')  # {n}\n" for n in range(900)),
    "a table": "| a | b |\n|---|---|\n"
    + "".join(f"| c {n} | some `words` {n} |\n" for n in range(900)),
    "a quote": "".join(f"> Paragraph {n} of it.\n>\n" for n in range(900)),
    "code in a list": "".join(f"- {n}:\n  ```python\n  if {n}: pass\n  ```\n" for n in range(600)),
}


@pytest.mark.parametrize("name", ["answers", *ONE_BLOCK])
def test_a_step_late_in_a_reply_draws_no_more_than_one_at_its_beginning(name: str) -> None:
    text = ONE_BLOCK.get(name) or "\n\n".join(
        each.markdown for each in answers() if each.language == "en" and each.number < 25
    )
    page = GrowingPage()
    early = sum(_work(page, text, end) for end in range(EARLY - 400, EARLY, STEP))
    for end in range(LATE - 400 - 5 * STEP, LATE - 400, STEP):
        page.grow(text[:end])
    late = sum(_work(page, text, end) for end in range(LATE - 400, LATE, STEP))
    assert late < 2 * early


def _work(page: GrowingPage, text: str, end: int) -> int:
    """How often a function of the drawing is called in a step: for spans, letters and colours."""
    calls = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        file = frame.f_code.co_filename
        if event == "call" and frame.f_code.co_name in COUNTED and "/markup/" in file:
            calls += 1

    sys.setprofile(note)
    try:
        page.grow(text[:end])
    finally:
        sys.setprofile(None)
    return calls
