"""What form an answer must have: frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JsonObject:
    """The answer is any JSON object."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """The answer is JSON, valid under ``schema``, which is JSON text itself."""

    schema: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """The answer is exactly one of ``options``."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The answer follows ``rules``, written in llama.cpp's GBNF or in llguidance's Lark."""

    rules: str


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole answer matches ``expression``."""

    expression: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage, with the white space before it; or the rest of a long one."""

    text: str
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class QuotedPassage:
    """A text that may be quoted as ``[number]``; each of its ``runs`` is one span of it, if joined.

    A quotation is some sentences of one run that follow each other, without white space at its
    ends.
    """

    number: int
    runs: tuple[tuple[Sentence, ...], ...]


@dataclass(frozen=True, slots=True)
class Quoted:
    """The answer is some quotations, in the order of the passages, or the sentence ``refusal``.

    Each is a line, ``> “It opens at nine.” [1]``, and ``…`` stands where its sentence was cut. If
    it ``goes_on`` there are some before it, and none may follow.
    """

    passages: tuple[QuotedPassage, ...]
    refusal: str
    goes_on: bool = False


AnswerFormat = JsonObject | JsonSchema | OneOf | Grammar | Regex | Quoted
