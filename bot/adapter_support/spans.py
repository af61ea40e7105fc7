"""Bold, links and code within a line, for platforms whose markup is not Markdown."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Self

from markdown_it.token import Token

ZERO_WIDTH_SPACE = "\u200b"


class Spans(ABC):
    """markdown-it's inline tokens -> a platform's text.

    A mark within the same mark is counted and not written, and each line has marks of its own.
    ``marks``: what stands around ``strong``, ``em`` and ``s``.
    """

    marks: ClassVar[Mapping[str, str]]
    hard_break: ClassVar[str] = "\n"

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._open: list[str] = []

    @classmethod
    def rendered(cls, tokens: Sequence[Token], *, is_bold: bool = False) -> str:
        spans = cls()
        return (spans.bold(tokens) if is_bold else spans.add(tokens)).text

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @abstractmethod
    def words(self, content: str) -> None:
        """Plain text, with the links that stand bare in it."""

    @abstractmethod
    def code(self, content: str) -> None: ...

    @abstractmethod
    def link(self, url: str, label: str) -> None: ...

    def begin(self, mark: str) -> None:
        self.parts.append(mark)

    def end(self, mark: str) -> None:
        self.parts.append(mark)

    def bold(self, tokens: Sequence[Token]) -> Self:
        self._mark(self.marks["strong"])
        self.add(tokens)
        self._unmark(self.marks["strong"])
        return self

    def add(self, tokens: Sequence[Token]) -> Self:
        rest = iter(tokens)
        for token in rest:
            self._add_one(token, rest)
        return self

    def _add_one(self, token: Token, rest: Iterator[Token]) -> None:
        kind, _, edge = token.type.rpartition("_")
        match token.type:
            case "softbreak":
                self.break_line("\n")
            case "hardbreak":
                self.break_line(self.hard_break)
            case "code_inline":
                self.code(token.content)
            case "link_open":
                self.link(str(token.attrs.get("href", "")), _label(rest))
            case "image":
                self.link(str(token.attrs.get("src", "")), token.content)
            case _ if kind in self.marks and edge == "open":
                self._mark(self.marks[kind])
            case _ if kind in self.marks and edge == "close":
                self._unmark(self.marks[kind])
            case _:
                self.words(token.content)

    def _mark(self, mark: str) -> None:
        if mark not in self._open:
            self.begin(mark)
        self._open.append(mark)

    def _unmark(self, mark: str) -> None:
        self._open.pop()
        if mark not in self._open:
            self.end(mark)

    def break_line(self, newline: str) -> None:
        marks = list(dict.fromkeys(self._open))
        self.parts.extend((*reversed(marks), newline, *marks))


def plain_text(tokens: Sequence[Token]) -> str:
    """What a person would read, unformatted and not escaped, on one line."""
    words = (" " if token.type.endswith("break") else token.content for token in tokens)
    return "".join(words).replace("\n", " ")


def around_links(
    pattern: re.Pattern[str], text: str, words: Callable[[str], None], link: Callable[[str], None]
) -> None:
    """``words`` and ``link`` in turn for what stands between and in the links of a text."""
    end = 0
    for match in pattern.finditer(text):
        words(text[end : match.start()])
        link(match.group())
        end = match.end()
    words(text[end:])


def _label(rest: Iterator[Token]) -> str:
    """The text of a link, whose tokens are taken from ``rest``; links do not nest."""
    tokens: list[Token] = []
    for token in rest:
        if token.type == "link_close":
            break
        tokens.append(token)
    return plain_text(tokens).strip()
