"""Bold, links and code within a line: markdown-it's inline tokens -> mrkdwn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it.token import Token

ZERO_WIDTH_SPACE = "\u200b"

_MARKS = {"strong": "*", "em": "_", "s": "~"}
_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>|]+", re.IGNORECASE)
_BARE_LINK = re.compile(r"https?://[^\s<>|\"`]*[^\s<>|\"`.,;:!?'()\[\]{}*_~]")


def escape(text: str) -> str:
    """The three characters that are control characters to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain_text(tokens: Sequence[Token]) -> str:
    """What a person would read, unformatted and not escaped, on one line."""
    words = (" " if token.type.endswith("break") else token.content for token in tokens)
    return "".join(words).replace("\n", " ")


def render_spans(tokens: Sequence[Token], *, is_bold: bool = False) -> str:
    spans = _Spans()
    if is_bold:
        spans.open("*")
    spans.add(tokens)
    if is_bold:
        spans.close("*")
    return spans.text


class _Spans:
    """Slack formats at word borders and within one line only; both are made up for here."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._marks: list[str] = []
        self._ends_span = False

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, tokens: Sequence[Token]) -> None:
        rest = iter(tokens)
        for token in rest:
            self._add_one(token, rest)

    def _add_one(self, token: Token, rest: Iterator[Token]) -> None:
        kind, _, edge = token.type.rpartition("_")
        match token.type:
            case "softbreak" | "hardbreak":
                self._break()
            case "code_inline":
                self._code(token.content)
            case "link_open":
                self._link(str(token.attrs.get("href", "")), _label(rest))
            case "image":
                self._link(str(token.attrs.get("src", "")), token.content)
            case _ if kind in _MARKS and edge == "open":
                self.open(_MARKS[kind])
            case _ if kind in _MARKS and edge == "close":
                self.close(_MARKS[kind])
            case _:
                self._write(_with_links(token.content))

    def open(self, mark: str) -> None:
        """A mark within the same mark is counted but not written."""
        if mark not in self._marks:
            self._begin_span(mark)
        self._marks.append(mark)

    def close(self, mark: str) -> None:
        self._marks.pop()
        if mark not in self._marks:
            self._end_span(mark)

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._ends_span and text[0].isalnum():
            self._parts.append(ZERO_WIDTH_SPACE)
        self._ends_span = False
        self._parts.append(text)

    def _begin_span(self, mark: str) -> None:
        if self._parts and self._parts[-1][-1].isalnum():
            self._parts.append(ZERO_WIDTH_SPACE)
        self._ends_span = False
        self._parts.append(mark)

    def _end_span(self, mark: str) -> None:
        self._parts.append(mark)
        self._ends_span = True

    def _break(self) -> None:
        marks = list(dict.fromkeys(self._marks))
        self._parts.extend((*reversed(marks), "\n", *marks))
        self._ends_span = False

    def _code(self, content: str) -> None:
        if "`" in content:  # cannot be shown as code
            self._write(escape(content))
            return
        self._begin_span("`")
        self._parts.append(escape(content))
        self._end_span("`")

    def _link(self, url: str, label: str) -> None:
        url = url.replace("|", "%7C")
        if not _LINK.fullmatch(url):
            self._write(escape(f"{label} ({url})" if url and label else label or url))
        elif label in ("", url):
            self._write(f"<{escape(url)}>")
        else:
            self._write(f"<{escape(url)}|{escape(label)}>")


def _label(rest: Iterator[Token]) -> str:
    """The text of a link, whose tokens are taken from ``rest``; links do not nest."""
    tokens: list[Token] = []
    for token in rest:
        if token.type == "link_close":
            break
        tokens.append(token)
    return plain_text(tokens).strip()


def _with_links(text: str) -> str:
    parts: list[str] = []
    end = 0
    for match in _BARE_LINK.finditer(text):
        parts.append(escape(text[end : match.start()]))
        parts.append(f"<{escape(match.group())}>")
        end = match.end()
    return "".join((*parts, escape(text[end:])))
