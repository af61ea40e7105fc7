"""Compiles answer formats to grammars."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from llguidance import LLMatcher, LLParserLimits

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

from bot.answer_formats import AnswerFormat, Grammar, JsonObject, JsonSchema, OneOf, Quoted, Regex
from bot.errors import UnsupportedFormat
from bot.inference.grammar import gbnf, pattern, quotations
from bot.inference.grammar.schema import prepared

_MAX_SCHEMA = _MAX_GRAMMAR = 65_536
_MAX_SHOWN = 200
_MAX_OPTIONS = 1_000
_TOO_LARGE = f"The answer format's schema has more than {_MAX_SCHEMA:,} characters."
_NOT_FOLLOWED = "The model cannot keep to this answer format; please ask for a simpler one."
_REFUSED = {
    "Unsatisfiable": (
        "No finite answer fits the answer format: it is endlessly recursive or contradicts itself."
    ),
    "oneOf": "oneOf of the answer format has options that may hold at once; please use anyOf.",
    "Properties": (
        "minProperties or maxProperties of the answer format is not supported beside optional "
        "properties; please use required."
    ),
    "patternProperty": (
        "patternProperties of the answer format has patterns that may fit the same key, which is "
        "not supported; please write them as one."
    ),
    "multipleOf": "multipleOf of the answer format has too many digits.",
    "circular references": (
        "The answer format is endlessly recursive: one of its references leads to itself at once."
    ),
    "too large": "The answer format is too large; please ask for fewer or shorter parts.",
    "too big": "The answer format is too large; please ask for fewer or shorter parts.",
}
"""What llguidance says of a grammar that it refuses, and the sentence for it."""
_LAYOUT: JsonCompileOptions = {
    "item_separator": ", ",
    "key_separator": ": ",
    "whitespace_flexible": False,
}
"""One line, as JSON is written in most text; all of it is forced, so it costs no sampling."""

LIMITS = LLParserLimits(verbose_errors=False)
"""Bounds of the work for a grammar and for each token, counted and not timed."""
_IS_LARK = re.compile(r"^[ \t]*(?:%llguidance\b|start[ \t]*:(?!:=))", re.MULTILINE)
_TOO_MANY = "it has too many rules or repetitions"


@lru_cache(maxsize=64)
def grammar_of(answer_format: AnswerFormat) -> str:
    """A grammar of llguidance; raises UnsupportedFormat. Takes well under a second."""
    grammar = _grammar(answer_format)
    if not isinstance(answer_format, Grammar):
        return checked(grammar)
    if problem := LLMatcher.validate_grammar(grammar, limits=LIMITS):
        raise _refused_grammar(problem)
    return grammar


def checked(grammar: str) -> str:
    """A grammar of llguidance that is one; raises UnsupportedFormat."""
    if problem := LLMatcher.validate_grammar(grammar, limits=LIMITS):
        raise UnsupportedFormat(_sentence(problem))
    return grammar


def followed(answer_format: AnswerFormat, can_follow: Callable[[str], bool]) -> str:
    """A grammar that the model can follow; raises UnsupportedFormat if it cannot."""
    grammar = grammar_of(answer_format)
    if not can_follow(grammar):
        raise UnsupportedFormat(_NOT_FOLLOWED)
    return grammar


def _sentence(problem: str) -> str:
    return next((said for mark, said in _REFUSED.items() if mark in problem), _NOT_FOLLOWED)


def _grammar(answer_format: AnswerFormat) -> str:
    match answer_format:
        case OneOf(options):
            return LLMatcher.grammar_from_lark(f"start: {_choice(options)}")
        case Grammar(rules):
            return LLMatcher.grammar_from_lark(_lark(rules))
        case Regex(expression):
            return LLMatcher.grammar_from_regex(_regex(expression))
        case Quoted():
            return LLMatcher.grammar_from_lark(quotations.lark_of(answer_format))
    return LLMatcher.grammar_from_json_schema(_schema(answer_format), overrides=_LAYOUT)


@lru_cache(maxsize=256)
def part_of_lark(answer_format: JsonObject | JsonSchema | OneOf) -> str:
    """Such an answer as a part of llguidance's Lark; raises UnsupportedFormat."""
    if isinstance(answer_format, OneOf):
        return f"({_choice(answer_format.options)})"
    schema = json.loads(_schema(answer_format))
    return f"%json {json.dumps({**schema, 'x-guidance': _LAYOUT})}"


def _schema(answer_format: JsonSchema | JsonObject) -> str:
    if isinstance(answer_format, JsonObject):
        return json.dumps(prepared({"type": "object"}))
    return json.dumps(prepared(_parsed(answer_format.schema)))


def _lark(rules: str) -> str:
    if len(rules) > _MAX_GRAMMAR:
        problem = f"The grammar has more than {_MAX_GRAMMAR:,} characters."
        raise UnsupportedFormat(problem, name="grammar")
    return rules if _IS_LARK.search(rules) else gbnf.lark_of(rules)


def _refused_grammar(problem: str) -> UnsupportedFormat:
    """llguidance's own words, of which the first line says it all."""
    said = _TOO_MANY if "too large" in problem or "too big" in problem else problem.split("\n")[0]
    said = said[:_MAX_SHOWN].rstrip(".")
    return UnsupportedFormat(f"The grammar cannot be followed: {said}.", name="grammar")


def _regex(expression: str) -> str:
    try:
        return pattern.read(expression, is_anchored=True)[1:-1]
    except UnsupportedFormat as refusal:
        raise UnsupportedFormat(str(refusal), name="guided_regex") from None


def _choice(options: tuple[str, ...]) -> str:
    if not options or len(options) > _MAX_OPTIONS or not all(options):
        raise UnsupportedFormat(
            f"A choice needs 1 to {_MAX_OPTIONS:,} options, and none of them empty."
        )
    if any(not option.isprintable() for option in options):
        raise UnsupportedFormat("The options of a choice must be printable.")
    return " | ".join(json.dumps(option, ensure_ascii=False) for option in options)


def _parsed(text: str) -> object:
    if len(text) > _MAX_SCHEMA:
        raise UnsupportedFormat(_TOO_LARGE)
    try:
        schema = json.loads(text, parse_float=_finite, parse_constant=_refuse)
        json.dumps(schema, ensure_ascii=False).encode()
    except RecursionError:
        raise UnsupportedFormat("The answer format's schema is nested too deeply.") from None
    except UnicodeEncodeError:
        raise UnsupportedFormat(
            "The answer format's schema has half of a character: one surrogate without the other."
        ) from None
    except ValueError:
        raise UnsupportedFormat("The answer format's schema is no valid JSON.") from None
    return schema


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
