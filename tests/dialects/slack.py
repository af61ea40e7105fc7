"""A strict reader of mrkdwn, written from what people report of Slack and not from Parley.

``read`` says what a message shows: its words, links, code, marks and pings. It is strict twice.
A mark that is meant to act needs a border on both sides that Slack surely takes for one; and
wherever Slack might see a mark, with any border at all, that mark acts here, too: a message in
which the two readings differ is ``Ambiguous``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"```(.+?)```", re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_TOKEN = re.compile(r"<([^<>\n]*)>")
_LINK = re.compile(r"(https?://[^|\s]+|mailto:[^|\s]+)(?:\|(.+))?", re.IGNORECASE)
_ENTITY = re.compile(r"&(amp|lt|gt);")
_CHARACTERS = {"amp": "&", "lt": "<", "gt": ">"}
_QUOTE = re.compile(r"\s*(?:>|&gt;|\uff1e) ?")
_BULLET = re.compile(r"( *)([•◦▪]|\d+\.)(?= |\Z)")
_INVISIBLE = re.compile("[\u200b\u00ad]")

_KINDS = {"*": "bold", "\uff0a": "bold", "_": "italic", "\uff3f": "italic", "~": "strike"}
_LIKE = {"\u2217": "*", "\ufe61": "\uff0a", "\u02cd": "_", "\u2e0f": "\uff3f", "\u223c": "~"}
_BORDERS_BEFORE = "([{\"'-\u200b"
_BORDERS_AFTER = ".,:;!?)]}\"'-\u200b"


class Ambiguous(AssertionError):
    """Slack might show this message in more than one way, or not take it at all."""


@dataclass
class Message:
    """``text`` is what people see, without invisible characters and without marks.

    ``marks``: kind and text of each, outer ones first. ``quoted``: the lines that are quotes.
    """

    text: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    marks: list[tuple[str, str]] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)


def plain(text: str) -> str:
    """Without what nobody sees; look-alikes of marks are what they stand for."""
    text = _INVISIBLE.sub("", text).replace("\u02cb", "`").replace("\uff40", "`")
    return "".join(_LIKE.get(character, character) for character in text)


def read(mrkdwn: str) -> Message:
    """Raises ``Ambiguous``."""
    message = Message()
    for number, piece in enumerate(_FENCE.split(mrkdwn)):
        if number % 2:
            _read_block(piece, message)
        else:
            _read_lines(piece, message)
    return message


def _read_block(content: str, message: Message) -> None:
    """One line end, or one space around backticks, belongs to the fence."""
    content = _decoded(content)
    if content.startswith("\n"):
        content = content.removeprefix("\n").removesuffix("\n")
        message.blocks.append(content)
    else:
        if content.startswith(" ") and content.endswith(" ") and "`" in content[1] + content[-2]:
            content = content[1:-1]
        message.code.append(content)
    message.text += content


def _read_lines(text: str, message: Message) -> None:
    if "```" in text:
        raise Ambiguous(f"half a fence: {text!r}")
    for number, line in enumerate(text.split("\n")):
        message.text += "\n" if number else ""
        is_line_start = number > 0 or message.text in ("", "\n")
        quote = _QUOTE.match(line) if is_line_start else None
        if quote:
            line = line[quote.end() :]
        start = len(message.text)
        _Line(line, message).read()
        if quote:
            message.quoted.append(message.text[start:])


@dataclass(frozen=True)
class _Atom:
    """Something of a line: a character, or what counts as one. ``shown`` is what people see."""

    raw: str
    shown: str
    is_plain: bool = True


class _Line:
    def __init__(self, line: str, message: Message) -> None:
        self._message = message
        self._atoms = [*self._atoms_of(line)]

    def read(self) -> None:
        self._check_ticks()
        strictly, loosely = self._marks(strict=True), self._marks(strict=False)
        if strictly != loosely:
            raise Ambiguous(f"{strictly} or {loosely} in {''.join(a.raw for a in self._atoms)!r}")
        edges = {edge for mark in strictly for edge in mark[1:]}
        for kind, start, end in strictly:
            inner = range(start + 1, end)
            shown = "".join(self._atoms[n].shown for n in inner if n not in edges)
            self._message.marks.append((kind, plain(shown)))
        self._message.text += plain(
            "".join(atom.shown for n, atom in enumerate(self._atoms) if n not in edges)
        )

    def _atoms_of(self, line: str) -> Iterator[_Atom]:
        position = 0
        while position < len(line):
            found = _CODE.match(line, position) or _TOKEN.match(line, position)
            if found is None:
                if line[position] in "<>":
                    raise Ambiguous(f"a control character that is not escaped: {line!r}")
                found = _ENTITY.match(line, position)
                raw = found[0] if found else line[position]
                yield _Atom(raw, _decoded(raw))
                position += len(raw)
                continue
            if line[position] == "`":
                self._check_borders(line, found)
                self._message.code.append(_decoded(found[1]))
                yield _Atom(found[0], _decoded(found[1]), is_plain=False)
            else:
                yield from self._token(found[1])
            position = found.end()

    def _token(self, content: str) -> Iterator[_Atom]:
        link = _LINK.fullmatch(content)
        if link is None:
            if not content or content[0] not in "@#!":
                raise Ambiguous(f"<{content}> is nothing")
            self._message.pings.append(content)
            yield _Atom(content, content, is_plain=False)
            return
        url, label = _decoded(link[1]), link[2]
        self._message.links.append((url, plain(_decoded(label or ""))))
        yield _Atom("<", "", is_plain=False)
        if label:
            for raw in re.findall(r"&(?:amp|lt|gt);|.", label):
                yield _Atom(raw, _decoded(raw))
        else:
            shown = url.removeprefix("mailto:")
            yield _Atom(url, shown, is_plain=False)
        yield _Atom(">", "", is_plain=False)

    def _check_borders(self, line: str, code: re.Match[str]) -> None:
        before = line[code.start() - 1] if code.start() else " "
        after = line[code.end()] if code.end() < len(line) else " "
        before_is_border = before.isspace() or before in _BORDERS_BEFORE + "*_~"
        after_is_border = after.isspace() or after in _BORDERS_AFTER + "*_~"
        if not (before_is_border and after_is_border):
            raise Ambiguous(f"code without borders: {line!r}")

    def _check_ticks(self) -> None:
        ticks = [atom for atom in self._atoms if atom.is_plain and atom.raw in "`\uff40"]
        has_code = any(atom.raw.startswith("`") for atom in self._atoms if not atom.is_plain)
        if len(ticks) > 1 or (ticks and has_code):
            raise Ambiguous("backticks that might pair")

    def _marks(self, *, strict: bool) -> list[tuple[str, int, int]]:
        """Kind, opening and closing of each mark, in the order of their openings."""
        found: list[tuple[str, int, int]] = []
        for sign in "*_~":
            found += self._marks_of(sign, strict=strict)
        return sorted(found, key=lambda mark: (mark[1], -mark[2]))

    def _marks_of(self, sign: str, *, strict: bool) -> Iterator[tuple[str, int, int]]:
        """A mark ends at the first sign that can end it; it holds no other sign of its kind."""
        opening: int | None = None
        for position, atom in enumerate(self._atoms):
            if not atom.is_plain or _KINDS.get(atom.raw) != _KINDS[sign]:
                continue
            can_close = opening is not None and self._can_close(position, strict=strict)
            if opening is not None and can_close and position - opening > 1:
                yield _KINDS[sign], opening, position
                opening = None
            elif self._can_open(position, strict=strict):
                opening = position

    def _can_open(self, position: int, *, strict: bool) -> bool:
        before, after = self._around(position)
        if after.isspace():
            return False
        if strict:
            return before.isspace() or before in _BORDERS_BEFORE or before in "*_~"
        return self._atoms[position].raw == "~" or not before[-1:].isalnum()

    def _can_close(self, position: int, *, strict: bool) -> bool:
        before, after = self._around(position)
        if strict:
            is_border = after.isspace() or after in _BORDERS_AFTER or after in "*_~"
            return is_border and not before.isspace()
        if self._atoms[position].raw == "~":
            return True
        return not before.isspace() and not after[:1].isalnum()

    def _around(self, position: int) -> tuple[str, str]:
        before = self._atoms[position - 1].raw if position else " "
        following = position + 1
        after = self._atoms[following].raw if following < len(self._atoms) else " "
        return before, after


def _decoded(text: str) -> str:
    return _ENTITY.sub(lambda match: _CHARACTERS[match[1]], text)
