"""The front matter of a personality file: its keys, and the problems with them.

Problems carry the line in the file, whose first line is the ``---`` above the front matter.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from bot.model_names import KNOWN, hub_model
from bot.sampling import SamplingFields
from bot.yaml_text import Key, NotYaml, Problem, YamlText, explained, not_empty


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("should be one line")
    return text


def _language(tag: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError("should be a language tag such as en or pt-BR")
    return tag


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError("should be an address such as https://example.org/news.xml")
    return text


def _model(name: str, info: ValidationInfo) -> str:
    models: Collection[str] | None = (info.context or {}).get("models")
    if models is not None and name not in models and hub_model(name) is None:
        raise ValueError(f"should be one of {', '.join((*models, *KNOWN))}, or hf:…")
    return name


_Text = Annotated[str, StringConstraints(strip_whitespace=True)]
_Line = Annotated[_Text, AfterValidator(_one_line)]
_Some = Annotated[_Line, AfterValidator(not_empty)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Sampling(SamplingFields, _Strict):
    """Unknown fields are mistakes here, too."""


class _Example(_Strict):
    question: Annotated[_Text, AfterValidator(not_empty)]
    answer: Annotated[_Text, AfterValidator(not_empty)]


class SourceFields(_Strict):
    """Either ``page`` or ``feed``."""

    name: _Some
    page: Annotated[_Some, AfterValidator(_address)] | None = None
    feed: Annotated[_Some, AfterValidator(_address)] | None = None
    about: _Line = ""
    triggers: tuple[_Some, ...] = ()

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.page is None) == (self.feed is None):
            raise ValueError("should have either page or feed, with its address")
        return self


class FrontMatter(_Strict):
    title: _Some
    description: _Line = ""
    language: Annotated[str, AfterValidator(_language)] = "en"
    greeting: _Text = ""
    suggested_questions: tuple[_Some, ...] = ()
    examples: tuple[_Example, ...] = ()
    sampling: _Sampling = _Sampling()
    loop_guard: bool = True
    reasoning: Literal["hidden", "shown", "folded"] = "hidden"
    model: Annotated[_Some, AfterValidator(_model)] | None = None
    sources: tuple[SourceFields, ...] = ()
    facts: _Some | None = None
    answers: Literal["free", "quoted"] = "free"
    strategy: Literal["direct", "route", "plan"] = "direct"
    remote: _Some | None = None
    show_both: bool = False
    max_steps: Annotated[int, Field(ge=2, le=16)] = 8

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        names = [each.name for each in self.sources]
        if len(set(names)) < len(names) or {"none", "facts"} & set(names):
            raise ValueError("sources should each have a name of its own, not none or facts")
        if self.answers == "quoted" and self.facts is None:
            raise ValueError("answers: quoted needs facts, a folder of documents to quote from")
        if self.strategy == "route" and self.remote is None:
            raise ValueError("strategy: route needs remote, the model to ask after a bad answer")
        for key, strategy in (("remote", "route"), ("show_both", "route"), ("max_steps", "plan")):
            if key in self.model_fields_set and self.strategy != strategy:
                raise ValueError(f"{key} has no effect without strategy: {strategy}")
        if self.answers == "quoted" and self.strategy != "direct":
            raise ValueError("answers: quoted goes with no other strategy than direct")
        return self


def parse(
    text: str, models: Collection[str] | None = None
) -> tuple[FrontMatter | None, list[Problem]]:
    """The fields and no problem, or every problem; duplicate keys come with the fields.

    ``models``: the names that ``model`` may have beside those of the hub; None: any.
    """
    try:
        source = YamlText(text, first_line=2)
    except NotYaml as error:
        return None, [error.problem]
    try:
        fields = FrontMatter.model_validate(source.values, context={"models": models})
        return fields, source.duplicates
    except ValidationError as error:
        found = [
            Problem(source.line(details["loc"]), explained(details, "the front matter", _hint))
            for details in error.errors()
        ]
        return None, source.duplicates + found


def _hint(key: Key) -> str:
    """A hint: the most similar key, wherever it belongs; else all keys known at this level."""
    nested = {f"sampling.{name}" for name in SamplingFields.model_fields}
    known = nested if key[0] == "sampling" else {*FrontMatter.model_fields, *nested}
    by_word = {name.rpartition(".")[2]: name for name in sorted(known)}
    near = get_close_matches(str(key[-1]).lower(), by_word, n=1)
    if near:
        return f"did you mean {by_word[near[0]]}?"
    return f"known are {', '.join(sorted(known))}"
