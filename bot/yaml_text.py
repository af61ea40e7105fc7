"""YAML as people type it: plain values that remember their lines, and mistakes as sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container
from typing import NamedTuple

import yaml
from pydantic_core import ErrorDetails

Key = tuple[str | int, ...]


class Problem(NamedTuple):
    """One mistake: its line in the file, counted from 1, and what is wrong there."""

    line: int
    text: str


class NotYaml(Exception):
    """The text is none; ``problem`` says where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def not_empty(text: str) -> str:
    """A validator of pydantic's, for text without white space at its ends."""
    if not text:
        raise ValueError("should not be empty")
    return text


class _Loader(yaml.BaseLoader):
    """Scalars stay the text that was typed (``no`` is Norwegian, not False); no aliases."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not read", problem_mark=self.get_mark())
        return super().compose_node(parent, index)


class YamlText:
    """``first_line``: where in its file the text begins. Raises ``NotYaml``.

    Scalars are the text that was typed; below the keys ``as_json`` they are what JSON makes of
    them, unless they are in quotes. ``duplicates``: keys that are there twice.
    """

    def __init__(self, text: str, *, first_line: int = 1, as_json: Container[str] = ()) -> None:
        self.duplicates: list[Problem] = []
        self._first_line = first_line
        self._as_json = as_json
        self._lines: dict[Key, int] = {(): 1}
        self.values: object = {}
        try:
            if node := yaml.compose(text, _Loader):
                self.values = self._plain(node, ())
        except yaml.YAMLError as error:
            raise NotYaml(self._explain(error, text)) from None
        except RecursionError:
            raise NotYaml(Problem(self._line(0), "it is nested too deeply")) from None

    def line(self, key: Key) -> int:
        """The line of the key, or of the nearest key around it that is written."""
        while key not in self._lines:
            key = key[:-1]
        return self._lines[key]

    def _plain(self, node: yaml.Node, key: Key, *, is_json: bool = False) -> object:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key, is_json)
        if isinstance(node, yaml.SequenceNode):
            numbered = enumerate(node.value)
            return [self._item(item, (*key, index), is_json) for index, item in numbered]
        return _of_json(node) if is_json and isinstance(node, yaml.ScalarNode) else node.value

    def _item(self, node: yaml.Node, key: Key, is_json: bool) -> object:
        self._lines[key] = self._line(node.start_mark.line)
        return self._plain(node, key, is_json=is_json)

    def _mapping(self, node: yaml.MappingNode, key: Key, is_json: bool) -> dict[str, object]:
        values: dict[str, object] = {}
        for name_node, value_node in node.value:
            name = name_node.value if isinstance(name_node, yaml.ScalarNode) else "?"
            line = self._line(name_node.start_mark.line)
            first = self._lines.setdefault((*key, name), line)
            if name in values:
                self.duplicates.append(
                    Problem(line, f"{name} is here twice, first on line {first}")
                )
            is_below = is_json or name in self._as_json
            values[name] = self._plain(value_node, (*key, name), is_json=is_below)
        return values

    def _line(self, number: int) -> int:
        return number + self._first_line

    def _explain(self, error: yaml.YAMLError, text: str) -> Problem:
        if isinstance(error, yaml.reader.ReaderError):
            line = self._line(text.count("\n", 0, error.position))
            return Problem(line, f"the character U+{int(error.character):04X} is not allowed")
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        return Problem(
            self._line(mark.line) if mark else 1,
            f"this is not YAML: {problem} (text with a colon or # in it needs quotes)",
        )


def _of_json(node: yaml.ScalarNode) -> object:
    if node.style is not None:
        return node.value
    try:
        return json.loads(node.value)
    except ValueError:
        return node.value


_EXPLAINED = {
    "missing": "is missing",
    "bool_parsing": "should be on or off",
    "string_type": "should be text",
    "tuple_type": "should be a list, one line with - each",
    "model_type": "should be lines of the form key: value",
}


def explained(details: ErrorDetails, whole: str, hint: Callable[[Key], str]) -> str:
    """What pydantic found, as a sentence about the key or the ``whole`` of them.

    ``hint``: what is said of a key that is unknown.
    """
    key = details["loc"]
    name = ".".join(map(str, key)) or whole
    if details["type"] == "extra_forbidden":
        return f"there is no key {name}; {hint(key)}"
    if known := _EXPLAINED.get(details["type"]):
        return f"{name} {known}"
    message = re.sub(r"^(Input|String|Value error,) ", "", details["msg"])
    if not key:
        return message
    written = details["input"].strip() if isinstance(details["input"], str) else ""
    return f"{name} {message}" + (f", and is {written[:40]!r}" if written else "")
