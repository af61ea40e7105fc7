"""Spans of Markdown, outside code fences, that a cut would break (pure)."""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = re.compile(r"\\.|`+|\*\*[^*\n]+\*\*|!?\[|\]|<https?://[^\s<>]+>|\n[ \t]*\n")
_DESTINATION = re.compile(r"""\((?:[^()\s\\]|\\.|\([^()\s]*\))*(?:[ \t]+"[^"\n]*")?[ \t]*\)""")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_UNFINISHED_DESTINATION = re.compile(r"\([^()\n]*\Z")
_MAX_UNFINISHED = 300
"""Characters that a link or code span without its end may keep together."""

_LIST_MARKER = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)]|#{1,6}|>)")
_BLOCK_START = re.compile(r"`{3}|~{3}|[`~]+\Z|(?:[-*+>|]|#{1,6}|\d{1,9}[.)])(?:\s|\Z)")

_JOINER = "\u200d"
_EXTENDING = frozenset({"Mn", "Me", "Mc"})


def unbreakable(text: str) -> list[tuple[int, int]]:
    """The links, code spans and strong words, as ordered spans that do not overlap.

    A link or code span that has begun at the end of the text counts: the rest of it may not
    have arrived yet.
    """
    return _merged(sorted(_Scan(text).spans))


class _Scan:
    """One pass over the text; ``_brackets`` are those still open in this paragraph."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._brackets: list[int] = []
        self.spans: list[tuple[int, int]] = []
        position = 0
        while match := _SPECIAL.search(text, position):
            position = self._take(match)
        self.spans += [(start, len(text)) for start in self._brackets if self._is_recent(start)]

    def _take(self, match: re.Match[str]) -> int:
        """Note the span that begins or ends here; the position to scan from next."""
        mark = match[0]
        if mark.startswith("\n"):
            self._brackets.clear()
        elif mark.startswith("`"):
            return self._code(match)
        elif mark.endswith("["):
            self._brackets.append(match.start())
        elif mark == "]" and self._brackets:
            return self._link(self._brackets.pop(), match.end())
        elif mark.startswith(("*", "<")):
            self.spans.append(match.span())
        return match.end()

    def _code(self, match: re.Match[str]) -> int:
        closing = re.compile(f"(?<!`){match[0]}(?!`)")
        paragraph = _PARAGRAPH_END.search(self._text, match.end())
        limit = paragraph.start() if paragraph else len(self._text)
        end = closing.search(self._text, match.end(), limit)
        if end is None and (paragraph or not self._is_recent(match.start())):
            return match.end()
        self.spans.append((match.start(), end.end() if end else limit))
        return self.spans[-1][1]

    def _link(self, start: int, end: int) -> int:
        """Brackets alone are text; with a destination, perhaps not here yet, they are a link."""
        rest = _DESTINATION.match(self._text, end)
        rest = rest or _UNFINISHED_DESTINATION.match(self._text, end)
        if rest or end == len(self._text) or self._text.startswith("[", end):
            self.spans.append((start, rest.end() if rest else end))
        return rest.end() if rest else end

    def _is_recent(self, start: int) -> bool:
        return len(self._text) - start <= _MAX_UNFINISHED


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def may_break(text: str, start: int, end: int) -> bool:
    """Whether the space from ``start`` to ``end`` may become the end of a message."""
    line_start = text.rfind("\n", 0, start) + 1
    if _LIST_MARKER.fullmatch(text, line_start, start):
        return False
    return "\n" in text[start:end] or not begins_block(text, end)


def begins_block(text: str, position: int) -> bool:
    """Whether the text from here would be markup at the beginning of a line."""
    return _BLOCK_START.match(text, position) is not None


def is_after_space(text: str, position: int) -> bool:
    return text[position - 1].isspace() and not text[position].isspace()


def is_between_graphemes(text: str, position: int) -> bool:
    """Whether a cut before ``position`` leaves every grapheme whole.

    Unicode's rules for marks, emoji sequences, flags and conjoining jamo; and Markdown's
    backslash stays with the character that it escapes.
    """
    before, after = text[position - 1], text[position]
    if before in (_JOINER, "\\") or before + after == "\r\n":
        return False
    if _is_flag_letter(before) and _is_flag_letter(after):
        return _num_flag_letters_before(text, position) % 2 == 0
    return not _extends(after)


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character) in _EXTENDING
        or character == _JOINER
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= character <= "\U000e007f"  # tags
        or "\u1160" <= character <= "\u11ff"  # Hangul vowels and finals
    )


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _num_flag_letters_before(text: str, position: int) -> int:
    start = position
    while start > 0 and _is_flag_letter(text[start - 1]):
        start -= 1
    return position - start
