"""Regular expressions: the texts that fit them, and those that are refused."""

from __future__ import annotations

import json
import re

import pytest

from bot.errors import UnsupportedFormat
from bot.inference.grammar.expressions import ROOT
from bot.inference.grammar.pattern import read
from bot.inference.grammar.values import FORMATS
from tests.bot.inference.grammar.schemas import PATTERNS
from tests.bot.inference.grammar.texts import Writer, as_regex


@pytest.mark.parametrize("pattern", [*PATTERNS, *(f"^({text})$" for text in FORMATS.values())])
def test_texts_that_fit_match_the_pattern_in_python(pattern: str) -> None:
    writer = Writer({ROOT: read(pattern).expr}, seed=7)
    for _ in range(200):
        assert re.search(pattern, json.loads(f'"{writer.write()}"'))


def test_an_unanchored_pattern_may_stand_anywhere() -> None:
    expr = re.compile(as_regex(read("cat|^dog$").expr))
    assert all(expr.fullmatch(text) for text in ("cat", "concatenate", "dog"))
    assert not any(expr.fullmatch(text) for text in ("dogs", "ca"))


def test_quotes_line_breaks_and_backslashes_are_written_as_json_does() -> None:
    expr = re.compile(as_regex(read(r'^"\n[\\\t]$').expr))
    assert expr.fullmatch(r"\"\n\\")
    assert expr.fullmatch(r"\"\n\t")
    assert not expr.fullmatch('"\n\\')


def test_texts_on_which_python_and_javascript_differ_do_not_fit() -> None:
    """A digit of another script, and a space that only one of them takes for one."""
    for pattern in (r"[^\d]", r"[^\s]", r"\D", r"\S", r"\w", r"\W"):
        expr = re.compile(as_regex(read(pattern, is_anchored=True).expr))
        assert not [c for c in "\u0663\u180e" if expr.fullmatch(c)], pattern
    assert re.fullmatch(as_regex(read("[^a]", is_anchored=True).expr), "\u0663")


@pytest.mark.parametrize(
    ("pattern", "length"),
    [("a{2,4}b?", (2, 5)), ("(ab|c)+", (1, None)), (r"\d{3}", (3, 3)), ("é|zzz", (1, 3))],
)
def test_the_length_of_what_fits_is_known(pattern: str, length: tuple[int, int | None]) -> None:
    piece = read(pattern, is_anchored=True)
    assert (piece.least, piece.most) == length


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("^(?=a)b$", r"begins with \(\?"),
        (r"(a)\1", r"\\1"),
        (r"\bword\b", r"\\b"),
        (r"\p{L}+", r"\\p"),
        ("^(a*)*$", "endless repetition of what may be empty"),
        ("^a{5000}$", "more than 1,000 repetitions"),
        ("(a", "not closed"),
        ("a)", "one '\\)' too many"),
        ("a$b", r"something behind '\$'"),
        ("[z-a]", "without two ends"),
        ("[]", "without characters"),
        ("[a", "an end where something should follow"),
        ("*a", r"'\*' at 0"),
        ("a{x}", "without counts"),
        (r"\u12", "without its digits"),
        ("(" * 40 + ")" * 40, "too many groups"),
    ],
)
def test_patterns_that_a_grammar_cannot_express_are_refused_in_one_sentence(
    pattern: str, problem: str
) -> None:
    with pytest.raises(UnsupportedFormat, match=problem) as caught:
        read(pattern)
    assert "\n" not in str(caught.value)
