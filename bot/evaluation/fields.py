"""The keys of a file of questions, as people type them."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, TypeVar

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from bot.yaml_text import Key, not_empty

T = TypeVar("T")

MAX_REPEAT = 100
_NAME = r"[^\s/·][^\n·]*"


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _some(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("should have at least one, a line with - each")
    return values


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"should be a regular expression ({error})") from None
    return text


def _schema(value: object) -> object:
    if isinstance(value, dict):
        try:
            Draft202012Validator.check_schema(value)
        except SchemaError as error:
            raise ValueError(f"should be a JSON schema ({error.message})") from None
    elif not isinstance(value, str):
        raise ValueError("should be a JSON schema, or the file that holds one")
    return value


def _name(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        raise ValueError("should be one line, without · and with no / at its beginning")
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError("should be an address such as http://gpu1:8000/v1")
    return text


def _on(value: object) -> object:
    if value not in ("on", "yes", "true"):
        raise ValueError("should be on")
    return True


def _named_alone(value: object) -> object:
    """``- is-json`` is as good as ``- is-json: on``."""
    return {value: "on"} if value == "is-json" else value


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(not_empty)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_more), AfterValidator(_some)]
Name = Annotated[Text, AfterValidator(_name)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_or_more), AfterValidator(_some)]
Temperature = Annotated[float, Field(ge=0, le=2)]
FirstSeed = Annotated[int, Field(ge=0, lt=2**31)]
Repeat = Annotated[int, Field(ge=1, le=MAX_REPEAT)]


class EvalFields(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=False)


class QuotableFields(EvalFields):
    """What may be quoted: a ``text``, or a ``file`` beside the file of questions."""

    text: Text | None = None
    file: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.text is None) == (self.file is None):
            raise ValueError("should have either text or file")
        return self


def _quotable(value: object) -> object:
    """A text alone is a file's name."""
    values = value if isinstance(value, list) else [value]
    return tuple({"file": each} if isinstance(each, str) else each for each in values)


class CheckFields(EvalFields):
    """One of them."""

    contains: Texts | None = None
    not_contains: Texts | None = Field(None, alias="not-contains")
    regex: Annotated[Text, AfterValidator(_expression)] | None = None
    is_json: Annotated[Literal[True], BeforeValidator(_on)] | None = Field(None, alias="is-json")
    schema_: Annotated[Any, BeforeValidator(_schema)] = Field(None, alias="schema")
    equals: Text | None = None
    not_equals: Text | None = Field(None, alias="not-equals")
    one_of: Texts | None = Field(None, alias="one-of")
    judge: Text | None = None
    quoted: (
        Annotated[tuple[QuotableFields, ...], BeforeValidator(_quotable), AfterValidator(_some)]
        | None
    ) = None
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(None, alias="max-tokens")
    max_seconds: Annotated[float, Field(gt=0)] | None = Field(None, alias="max-seconds")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("should be one check, such as contains: Paris")
        return self


Checks = tuple[Annotated[CheckFields, BeforeValidator(_named_alone)], ...]


class TurnFields(EvalFields):
    question: Text
    answer: Text | None = None
    checks: Checks = ()

    @model_validator(mode="after")
    def _checks_what_is_asked(self) -> Self:
        if self.answer is not None and self.checks:
            raise ValueError("has an answer, which nobody needs to check; leave out one of both")
        return self


class CaseFields(EvalFields):
    """Either a ``question`` with ``checks``, or ``turns``."""

    name: Name
    personality: Names | None = None
    question: Text | None = None
    checks: Checks = ()
    turns: tuple[TurnFields, ...] = ()

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if (self.question is None) == (not self.turns):
            raise ValueError("should have either question or turns")
        if self.turns and self.checks:
            raise ValueError("has turns; the checks belong to one of them")
        if not (self.checks or any(turn.checks for turn in self.turns)):
            raise ValueError("should have checks, one line with - each")
        return self


class EngineFields(EvalFields):
    """``key-from``: the variable of the environment that holds the key."""

    name: Name
    url: Annotated[Text, AfterValidator(_address)]
    model: Name | None = None
    key_from: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$")] | None = Field(
        None, alias="key-from"
    )


class EvalFileFields(EvalFields):
    title: Name
    personalities: Names | None = None
    models: Names | None = None
    engines: tuple[EngineFields, ...] = ()
    judge: Name | None = None
    temperature: Temperature | None = None
    seed: FirstSeed | None = None
    repeat: Repeat = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(None, alias="max-tokens")
    cases: Annotated[tuple[CaseFields, ...], AfterValidator(_some)]


_ABOVE: dict[str, type[EvalFields]] = {
    "cases": CaseFields,
    "turns": TurnFields,
    "checks": CheckFields,
    "engines": EngineFields,
    "quoted": QuotableFields,
}


def hint(key: Key) -> str:
    """Of an unknown key: the most similar one of its place, else all of that."""
    place = next((each for each in reversed(key[:-1]) if each in _ABOVE), "")
    fields = _ABOVE.get(str(place), EvalFileFields).model_fields
    known = sorted(info.alias or name for name, info in fields.items())
    near = get_close_matches(str(key[-1]).lower(), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
