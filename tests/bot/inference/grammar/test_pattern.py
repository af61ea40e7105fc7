"""Regular expressions: the texts that fit them, and those that are refused."""

from __future__ import annotations

import json
import re

import pytest

from bot.answer_formats import JsonSchema
from bot.errors import UnsupportedFormat
from bot.inference.grammar.formats import grammar_of
from bot.inference.grammar.pattern import read
from bot.inference.grammar.strings import FORMATS
from tests.bot.inference.grammar.schemas import PATTERNS
from tests.bot.inference.grammar.texts import Texts


def matching(pattern: str) -> Texts:
    schema = {"type": "string", "pattern": pattern}
    return Texts(grammar_of(JsonSchema(json.dumps(schema))), hint=pattern)


@pytest.mark.parametrize("pattern", [*PATTERNS, *(f"^({text})$" for text in FORMATS.values())])
def test_texts_that_fit_match_the_pattern_in_python(pattern: str) -> None:
    fitting = matching(pattern)
    for seed in range(60):
        assert re.search(pattern, json.loads(fitting.random(seed)))


def test_an_unanchored_pattern_may_stand_anywhere() -> None:
    fitting = matching("cat|^dog$")
    assert all(fitting.has(f'"{text}"') for text in ("cat", "concatenate", "dog"))
    assert not any(fitting.has(f'"{text}"') for text in ("dogs", "ca"))


def test_quotes_line_breaks_and_backslashes_are_written_as_json_does() -> None:
    fitting = matching(r'^"\n[\\\t]$')
    assert fitting.has(r'"\"\n\\"')
    assert fitting.has(r'"\"\n\t"')
    assert not fitting.has('"\\"\n\\\\"')


def test_texts_on_which_python_and_javascript_differ_do_not_fit() -> None:
    """A digit of another script, and a space that only one of them takes for one."""
    for pattern in (r"[^\d]", r"[^\s]", r"\D", r"\S", r"\w", r"\W"):
        fitting = matching(f"^{pattern}$")
        assert not [c for c in "\u0663\u180e" if fitting.has(f'"{c}"')], pattern
    assert matching("^[^a]$").has('"\u0663"')


@pytest.mark.parametrize("pattern", ['^[^"]*$', r"^[^\\]*$", "^[^a]*$", r"^[\x00-\x1f]*$"])
def test_a_class_has_no_more_than_it_says(pattern: str) -> None:
    fitting = matching(pattern)
    for text in ('"', "\\", "a", "\n"):
        fits = re.search(pattern, text) is not None
        assert fitting.has(json.dumps(text)) == fits, text


def test_what_may_be_empty_may_be_repeated() -> None:
    fitting = matching("^(a*)*$")
    assert fitting.has('""')
    assert fitting.has('"aaa"')


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("^(?=a)b$", r"begins with \(\?"),
        (r"(a)\1", r"\\1"),
        (r"\bword\b", r"\\b"),
        (r"\p{L}+", r"\\p"),
        ("^a{5000}$", "more than 1,000 repetitions"),
        ("a{3,2}", "more at least than at most"),
        ("(a", "not closed"),
        ("a)", "one '\\)' too many"),
        ("a$b", r"something behind '\$'"),
        ("[z-a]", "without two ends"),
        ("[]", "without characters"),
        ("[a", "an end where something should follow"),
        ("*a", r"'\*' at 0"),
        ("a{x}", "without counts"),
        (r"\u12", "without its digits"),
        (r"\ud83dx", "half of a character"),
        (r"\ud83d\u0041", "half of a character"),
        (r"\ude00", "half of a character"),
        ("(" * 40 + ")" * 40, "too many groups"),
    ],
)
def test_patterns_that_a_grammar_cannot_express_are_refused_in_one_sentence(
    pattern: str, problem: str
) -> None:
    with pytest.raises(UnsupportedFormat, match=problem) as caught:
        read(pattern)
    assert "\n" not in str(caught.value)
