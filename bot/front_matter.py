"""The front matter of a personality file: its keys, and the problems with them.

Problems carry the line in the file, whose first line is the ``---`` above the front matter.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Annotated, Literal, NamedTuple, Self

import yaml
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
from pydantic_core import ErrorDetails

from bot.model_names import KNOWN, hub_model
from bot.sampling import SamplingFields

_Key = tuple[str | int, ...]


class Problem(NamedTuple):
    """One mistake: its line in the file, counted from 1, and what is wrong there."""

    line: int
    text: str


def _one_line(text: str) -> str:
    if "\n" in text:
        raise ValueError("should be one line")
    return text


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("should not be empty")
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
_Some = Annotated[_Line, AfterValidator(_not_empty)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Sampling(SamplingFields, _Strict):
    """Unknown fields are mistakes here, too."""


class _Example(_Strict):
    question: Annotated[_Text, AfterValidator(_not_empty)]
    answer: Annotated[_Text, AfterValidator(_not_empty)]


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
        source = _Source(text)
    except yaml.YAMLError as error:
        return None, [_explain_yaml(error, text)]
    try:
        fields = FrontMatter.model_validate(source.values, context={"models": models})
        return fields, source.duplicates
    except ValidationError as error:
        found = [
            Problem(source.line(details["loc"]), _explain(details)) for details in error.errors()
        ]
        return None, source.duplicates + found


class _Loader(yaml.BaseLoader):
    """Scalars stay the text that was typed (``no`` is Norwegian, not False); no aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=self.get_mark())
        return super().compose_node(parent, index)


class _Source:
    """Front matter as plain values that remember their lines."""

    def __init__(self, text: str) -> None:
        self.duplicates: list[Problem] = []
        self._lines: dict[_Key, int] = {(): 1}
        node = yaml.compose(text, _Loader)
        self.values = self._plain(node, ()) if node else {}

    def line(self, key: _Key) -> int:
        """The line of the key, or of the nearest key around it that is written."""
        while key not in self._lines:
            key = key[:-1]
        return self._lines[key]

    def _plain(self, node: yaml.Node, key: _Key) -> object:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*key, index)) for index, item in enumerate(node.value)]
        return node.value

    def _item(self, node: yaml.Node, key: _Key) -> object:
        self._lines[key] = _line(node)
        return self._plain(node, key)

    def _mapping(self, node: yaml.MappingNode, key: _Key) -> dict[str, object]:
        values: dict[str, object] = {}
        for name_node, value_node in node.value:
            name = name_node.value if isinstance(name_node, yaml.ScalarNode) else "?"
            first = self._lines.setdefault((*key, name), _line(name_node))
            if name in values:
                text = f"{name} is here twice, first on line {first}"
                self.duplicates.append(Problem(_line(name_node), text))
            values[name] = self._plain(value_node, (*key, name))
        return values


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 2


def _explain_yaml(error: yaml.YAMLError, text: str) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 2
        return Problem(line, f"the character U+{int(error.character):04X} is not allowed")
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
    return Problem(
        mark.line + 2 if mark else 1,
        f"this is not YAML: {problem} (text with a colon or # in it needs quotes)",
    )


_EXPLAINED = {
    "missing": "is missing",
    "bool_parsing": "should be on or off",
    "string_type": "should be text",
    "tuple_type": "should be a list, one line with - each",
    "model_type": "should be lines of the form key: value",
}


def _explain(details: ErrorDetails) -> str:
    key = details["loc"]
    name = ".".join(map(str, key)) or "the front matter"
    if details["type"] == "extra_forbidden":
        return f"there is no key {name}; {_hint(key)}"
    if explained := _EXPLAINED.get(details["type"]):
        return f"{name} {explained}"
    message = re.sub(r"^(Input|String|Value error,) ", "", details["msg"])
    if not key:
        return message
    written = str(details["input"]).strip()
    return f"{name} {message}" + (f", and is {written[:40]!r}" if written else "")


def _hint(key: _Key) -> str:
    """A hint: the most similar key, wherever it belongs; else all keys known at this level."""
    nested = {f"sampling.{name}" for name in SamplingFields.model_fields}
    known = nested if key[0] == "sampling" else {*FrontMatter.model_fields, *nested}
    by_word = {name.rpartition(".")[2]: name for name in sorted(known)}
    near = get_close_matches(str(key[-1]).lower(), by_word, n=1)
    if near:
        return f"did you mean {by_word[near[0]]}?"
    return f"known are {', '.join(sorted(known))}"
