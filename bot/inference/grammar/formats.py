"""Compiles answer formats to grammars."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import lru_cache
from typing import NoReturn

from bot.errors import UnsupportedFormat
from bot.inference.grammar import values
from bot.inference.grammar.check import checked
from bot.inference.grammar.expressions import ROOT, Rules, Text, alt
from bot.inference.grammar.gbnf import render
from bot.inference.grammar.schema import rules_of
from bot.types import AnswerFormat, JsonSchema, OneOf

_MAX_SCHEMA = 65_536
_MAX_OPTIONS = 1_000
_NOT_FOLLOWED = "The model cannot keep to this answer format; please ask for a simpler one."
_TOO_LARGE = f"The answer format's schema has more than {_MAX_SCHEMA:,} characters."


@lru_cache(maxsize=64)
def grammar_of(answer_format: AnswerFormat) -> str:
    """GBNF whose root is ``root``; raises UnsupportedFormat. Takes well under a second."""
    return render(checked(_rules(answer_format)))


def followed(answer_format: AnswerFormat, can_follow: Callable[[str], bool]) -> str:
    """A grammar that the model can follow; raises UnsupportedFormat if it cannot."""
    grammar = grammar_of(answer_format)
    if not can_follow(grammar):
        raise UnsupportedFormat(_NOT_FOLLOWED)
    return grammar


def _rules(answer_format: AnswerFormat) -> Rules:
    match answer_format:
        case JsonSchema(text):
            return rules_of(_parsed(text))
        case OneOf(options):
            return _choice(options)
    return {ROOT: values.OBJECT, **values.JSON}


def _choice(options: tuple[str, ...]) -> Rules:
    if not options or len(options) > _MAX_OPTIONS or not all(options):
        raise UnsupportedFormat(
            f"A choice needs 1 to {_MAX_OPTIONS:,} options, and none of them empty."
        )
    if any(not option.isprintable() for option in options):
        raise UnsupportedFormat("The options of a choice must be printable.")
    return {ROOT: alt(Text(option) for option in options)}


def _parsed(text: str) -> object:
    if len(text) > _MAX_SCHEMA:
        raise UnsupportedFormat(_TOO_LARGE)
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_refuse)
    except RecursionError:
        raise UnsupportedFormat("The answer format's schema is nested too deeply.") from None
    except ValueError:
        raise UnsupportedFormat("The answer format's schema is no valid JSON.") from None


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
