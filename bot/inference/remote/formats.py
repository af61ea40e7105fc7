"""Answer formats as OpenAI's ``response_format``. Pure."""

from __future__ import annotations

import json
from typing import Any

from bot.answer_formats import AnswerFormat, Grammar, JsonSchema, OneOf, Quoted, Regex
from bot.errors import UnsupportedFormat

_NO_QUOTATIONS = (
    "Quoted answers need the model in Parley's own process: a remote engine cannot be held to what "
    "its sources say."
)


def response_format(answer_format: AnswerFormat | None) -> dict[str, Any]:
    """The key of the body, or nothing; raises UnsupportedFormat if OpenAI has no such format."""
    match answer_format:
        case None:
            return {}
        case JsonSchema(text):
            named = {"name": "answer", "schema": _parsed(text)}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case OneOf():
            raise _refused("a choice of answers", "guided_choice")
        case Grammar():
            raise _refused("a grammar", "grammar")
        case Regex():
            raise _refused("a regular expression", "guided_regex")
        case Quoted():
            raise UnsupportedFormat(_NO_QUOTATIONS, name="answers")
    return {"response_format": {"type": "json_object"}}


def _refused(what: str, name: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"The remote engine cannot be held to {what}.", name=name)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnsupportedFormat("The answer format's schema is no valid JSON.") from None
