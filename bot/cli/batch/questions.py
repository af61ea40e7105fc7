"""The questions of a file, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.answer_formats import AnswerFormat, JsonSchema
from bot.errors import StartError
from bot.generation import ChatMessage, CompletionRequest, Role
from bot.ports import LOCAL_ACCOUNT
from bot.prompt import clean

_MAX_PROBLEMS = 5
_ROLES: tuple[Role, ...] = ("system", "user", "assistant")
_KEYS = {"question", "id", "personality", "schema"}
_OPENAI_KEYS = {"custom_id", "method", "url", "body"}
_OPENAI_BODY = {"model", "messages"}

Id = int | str


@dataclass(frozen=True, slots=True)
class BatchQuestion:
    """``key``: under which name its ``id`` stands in the answer."""

    id: Id
    key: str
    asked: CompletionRequest

    @property
    def text(self) -> str:
        return self.asked.messages[-1].content


@dataclass(frozen=True, slots=True)
class Defaults:
    """For lines that do not say it."""

    personality: str
    answer_format: AnswerFormat | None


class _Wrong(Exception):
    """What is wrong with a line."""


def read_questions(path: Path, source: bytes, defaults: Defaults) -> Sequence[BatchQuestion]:
    """Raises ``StartError``, with the first problems at once."""
    questions, problems = list[BatchQuestion](), list[str]()
    lines: dict[Id, int] = {}
    for number, line in enumerate(source.decode("utf-8-sig", "replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            question = _question(line, number, defaults)
            first = lines.setdefault(question.id, number)
            if first != number:
                raise _Wrong(f"has the id {question.id!r}, as line {first} has")
            questions.append(question)
        except _Wrong as problem:
            problems.append(f"{path}, line {number} {problem}.")
    if problems:
        raise StartError("\n".join(_first(problems)))
    return questions


def _first(problems: Sequence[str]) -> Iterator[str]:
    yield from problems[:_MAX_PROBLEMS]
    if (num := len(problems) - _MAX_PROBLEMS) > 0:
        yield f"{num:,} more lines are wrong."


def _question(line: str, number: int, defaults: Defaults) -> BatchQuestion:
    try:
        given = json.loads(line)
    except ValueError:
        raise _Wrong("is no JSON: a text in quotes, or an object with a question") from None
    if isinstance(given, str):
        given = {"question": given}
    if not isinstance(given, dict):
        raise _Wrong("is neither a text nor an object with a question")
    if "body" in given or "custom_id" in given:
        return _of_openai(given, number, defaults)
    _check_keys(given, _KEYS, "")
    asked = CompletionRequest(
        account=LOCAL_ACCOUNT,
        messages=(ChatMessage("user", _text(given, "question")),),
        personality=_text(given, "personality", defaults.personality),
        answer_format=_format(given, defaults),
        is_background=True,
    )
    return BatchQuestion(_id(given, "id", number), "id", asked)


def _of_openai(given: dict[str, Any], number: int, defaults: Defaults) -> BatchQuestion:
    """As OpenAI's batches have it, as far as it says what to ask."""
    _check_keys(given, _OPENAI_KEYS, "")
    body = given.get("body")
    if not isinstance(body, dict):
        raise _Wrong("has no body that is an object")
    _check_keys(body, _OPENAI_BODY, "body.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _Wrong("has no body.messages")
    asked = CompletionRequest(
        account=LOCAL_ACCOUNT,
        messages=tuple(map(_message, messages)),
        personality=_text(body, "model", defaults.personality),
        answer_format=defaults.answer_format,
        is_background=True,
    )
    return BatchQuestion(_id(given, "custom_id", number), "custom_id", asked)


def _message(given: object) -> ChatMessage:
    if not isinstance(given, dict) or given.get("role") not in _ROLES:
        raise _Wrong("has a message that is none, or of another role than system, user, assistant")
    return ChatMessage(given["role"], _text(given, "content"))


def _check_keys(given: dict[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(given.keys() - known):
        raise _Wrong(
            f"has {where}{unknown[0]}, which is unknown; known are {', '.join(sorted(known))}"
        )


def _text(given: dict[str, Any], key: str, default: str = "") -> str:
    text = given.get(key) or default
    if not isinstance(text, str) or not clean(text).strip():
        raise _Wrong(f"has no {key} that is a text")
    return clean(text)


def _format(given: dict[str, Any], defaults: Defaults) -> AnswerFormat | None:
    schema = given.get("schema")
    if schema is None:
        return defaults.answer_format
    if not isinstance(schema, dict):
        raise _Wrong("has a schema that is no object")
    return JsonSchema(json.dumps(schema, ensure_ascii=False))


def _id(given: dict[str, Any], key: str, number: int) -> Id:
    found = given.get(key, number)
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise _Wrong(f"has an {key} that is neither a text nor a number")
    return found
