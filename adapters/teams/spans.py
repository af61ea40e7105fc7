"""Bold, links and code within a line: markdown-it's inline tokens -> Teams' Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it.token import Token

ZERO_WIDTH_SPACE = "\u200b"

_MARKS = {"strong": "**", "em": "_", "s": "~~"}
_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.IGNORECASE)
_BARE_LINK = re.compile(r"https?://[^\s<>|\"`*\\]*[^\s<>|\"`.,;:!?'()\[\]{}*_~\\]")
_SPECIAL = re.compile(r"[\\`*_~\[\]]")
_LINE_START = re.compile(r"^(\s*)([#+-]|\d+[.)](?=\s|$))", re.MULTILINE)
_AT = re.compile(r"<(?=\s*/?\s*at\b)", re.IGNORECASE)


def escape(text: str) -> str:
    """Every character that Teams would take for markup, a tag or an entity."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINE_START.sub(_escaped_start, _SPECIAL.sub(r"\\\g<0>", text))


def _escaped_start(match: re.Match[str]) -> str:
    space, mark = match.groups()
    return f"{space}{mark[:-1]}\\{mark[-1]}"


def harmless(code: str) -> str:
    """Code as it is, but for what could be read as a mention."""
    return _AT.sub(f"<{ZERO_WIDTH_SPACE}", code)


def plain_text(tokens: Sequence[Token]) -> str:
    """What a person would read, unformatted and not escaped, on one line."""
    words = (" " if token.type.endswith("break") else token.content for token in tokens)
    return "".join(words).replace("\n", " ")


def render_spans(tokens: Sequence[Token], *, is_bold: bool = False) -> str:
    spans = _Spans()
    if is_bold:
        spans.open("**")
    spans.add(tokens)
    if is_bold:
        spans.close("**")
    return spans.text


class _Spans:
    """A mark within the same mark is counted and not written; each line has marks of its own."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._marks: list[str] = []

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
            case "softbreak":
                self._break("\n")
            case "hardbreak":
                self._break("  \n")
            case "code_inline":
                self._parts.append(_code(token.content))
            case "link_open":
                self._link(str(token.attrs.get("href", "")), _label(rest))
            case "image":
                self._link(str(token.attrs.get("src", "")), token.content)
            case _ if kind in _MARKS and edge == "open":
                self.open(_MARKS[kind])
            case _ if kind in _MARKS and edge == "close":
                self.close(_MARKS[kind])
            case _:
                self._parts.append(self._text(token.content))

    def open(self, mark: str) -> None:
        if mark not in self._marks:
            self._parts.append(mark)
        self._marks.append(mark)

    def close(self, mark: str) -> None:
        self._marks.pop()
        if mark not in self._marks:
            self._parts.append(mark)

    def _break(self, newline: str) -> None:
        marks = list(dict.fromkeys(self._marks))
        self._parts.extend((*reversed(marks), newline, *marks))

    def _text(self, text: str) -> str:
        """Links that stand bare stay bare: Teams finds them, and escapes would break them."""
        parts: list[str] = []
        end = 0
        for match in _BARE_LINK.finditer(text):
            parts += [self._escaped(text[end : match.start()], is_start=end == 0), match.group()]
            end = match.end()
        return "".join((*parts, self._escaped(text[end:], is_start=end == 0)))

    def _escaped(self, text: str, *, is_start: bool) -> str:
        """What looks like a list's or heading's mark does so at the start of a line only."""
        at_start = is_start and (not self._parts or self._parts[-1].endswith("\n"))
        return escape(text) if at_start else escape(f"x{text}")[1:]

    def _link(self, url: str, label: str) -> None:
        if not _LINK.fullmatch(url):
            self._parts.append(escape(f"{label} ({url})" if url and label else label or url))
        elif label in ("", url) and _BARE_LINK.fullmatch(url):
            self._parts.append(url)
        else:
            target = url.replace("(", "%28").replace(")", "%29").replace("\\", "%5C")
            self._parts.append(f"[{escape(label or url)}]({target})")


def _label(rest: Iterator[Token]) -> str:
    """The text of a link, whose tokens are taken from ``rest``; links do not nest."""
    tokens: list[Token] = []
    for token in rest:
        if token.type == "link_close":
            break
        tokens.append(token)
    return plain_text(tokens).strip()


def _code(content: str) -> str:
    if "`" in content:  # cannot be shown as code
        return escape(content)
    return f"`{harmless(content)}`"
