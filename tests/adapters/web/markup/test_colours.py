"""Code in colours, byte for byte."""

from __future__ import annotations

import re
from html import unescape
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.web.markup.colours import CLASSES, MAX_COLOURED, coloured, language_of

LANGUAGES = ("python", "js", "console", "html", "c++", "yaml", "diff", "Makefile", "sql", "text")


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("python", "python"),
        ("python title=x.py", "python"),
        ("C++", "C++"),
        ("{.python}", ""),
        ('"><b>', ""),
        ("js<b>", "js"),
        ("", ""),
    ],
)
def test_the_language_is_the_first_word_of_the_info(info: str, language: str) -> None:
    assert language_of(info) == language


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*"\"'`#/*<>&{}()$\n\t \r\ufeff", "def", "x1", "```", "é"])).map(
        "".join
    ),
    st.sampled_from(LANGUAGES),
)
def test_colours_change_no_character(code: str, language: str) -> None:
    html = coloured(code, language)
    assert unescape(re.sub("<[^>]*>", "", html)) == code.replace("\r", "⟨U+000D⟩")
    assert set(re.findall('class="(.*?)"', html)) <= set(CLASSES)


def test_each_language_has_its_colours() -> None:
    assert coloured("let x = 1 // y", "js") == (
        '<span class="k">let</span> x = <span class="m">1</span> <span class="c">// y</span>'
    )
    assert coloured("+a\n-b", "diff") == ('<span class="gi">+a</span>\n<span class="gd">-b</span>')
    assert coloured("let x = 1", "klingon") == "let x = 1"
    assert coloured("let x = 1", "") == "let x = 1"


def test_what_is_long_is_plain() -> None:
    assert "<span" not in coloured("if x\n" * (MAX_COLOURED // 5 + 1), "python")
    assert "<span" not in coloured("if x; " * 400, "python")


@pytest.mark.parametrize(
    ("language", "code"),
    [("java", "a a a a a\n" * 4_000), ("make", "0x10x1\n" * 5_000), ("ini", ":::::\n" * 5_000)],
)
def test_no_pattern_of_a_language_holds_everybody_up(language: str, code: str) -> None:
    start = process_time()
    html = coloured(code, language)
    assert process_time() - start < 2
    assert unescape(re.sub("<[^>]*>", "", html)) == code
