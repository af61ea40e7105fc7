"""Reads regular expressions of JSON Schema, and writes them so that they mean one thing only.

Where JavaScript and Python differ, only texts that both accept fit: ``\\d``, ``\\w`` and their
opposites mean ASCII. Every class is written out, and every expression matches whole strings.
Lookaheads, back-references and word boundaries, which a grammar cannot express, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bot.errors import UnsupportedFormat

Ranges = tuple[tuple[int, int], ...]

_MAX_REPEAT = 1_000
_MAX_DEPTH = 32
_EVERYTHING: Ranges = ((0x08, 0x0A), (0x0C, 0x0D), (0x20, 0xD7FF), (0xE000, 0x10FFFF))
_HIGH_HALVES, _LOW_HALVES = range(0xD800, 0xDC00), range(0xDC00, 0xE000)


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(pair for ranges in sets for pair in ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def minus(ranges: Ranges, taken: Ranges) -> Ranges:
    return tuple(_minus(ranges, union(taken)))


def _minus(ranges: Ranges, taken: Ranges) -> Iterator[tuple[int, int]]:
    for first, last in ranges:
        for low, high in taken:
            if high < first or low > last:
                continue
            if first < low:
                yield first, low - 1
            first = high + 1
        if first <= last:
            yield first, last


_ASCII: Ranges = ((0x20, 0x7E),)
_DIGITS: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_ASCII_TEXT = union(_ASCII, _SPACE)
_CLASSES = {
    "d": _DIGITS,
    "D": minus(_ASCII, _DIGITS),
    "w": _WORD,
    "W": minus(_ASCII, _WORD),
    "s": _SPACE,
    "S": minus(_ASCII, _SPACE),
}
_CONTROLS = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C, "v": 0x0B}
_DOT = minus(_EVERYTHING, ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)))
_QUANTIFIERS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def read(pattern: str, *, is_anchored: bool = False) -> str:
    """Strings in which ``pattern`` is found; ``is_anchored``: that match it as a whole.

    Raises UnsupportedFormat.
    """
    return f"^({_Reader(pattern, is_anchored).read()})$"


def _one_of(branches: list[str]) -> str:
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def _character(ranges: Ranges) -> str:
    """A class of characters that may stand in an answer.

    Single surrogates do not occur in UTF-8. Of control characters only those with a short escape
    in JSON are written: llguidance takes a class with all of them for one with quotes as well.
    """
    kept = minus(ranges, minus(((0x00, 0xDFFF),), _EVERYTHING))
    return "[" + "".join(f"\\x{{{a:X}}}-\\x{{{b:X}}}" for a, b in kept) + "]"


_ANY = _character(_EVERYTHING) + "*"


def _times(expression: str, least: int, most: int | None) -> str:
    return f"(?:{expression}){{{least},{'' if most is None else most}}}"


def _is_count(digits: str) -> bool:
    return digits.isascii() and digits.isdecimal() and len(digits) < 10


class _Reader:
    def __init__(self, pattern: str, is_anchored: bool) -> None:
        self._pattern = pattern
        self._is_anchored = is_anchored
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        branches = [self._outermost()]
        while self._take("|"):
            branches.append(self._outermost())
        if self._at < len(self._pattern):
            raise self._refused("something behind '$', or one ')' too many")
        return _one_of(branches)

    def _outermost(self) -> str:
        """A branch that may be anchored at the beginning and the end of the string."""
        before = "" if self._take("^") or self._is_anchored else _ANY
        branch = self._branch()
        after = "" if self._take("$") or self._is_anchored else _ANY
        return before + branch + after

    def _branch(self) -> str:
        pieces = []
        while (c := self._peek()) and c not in "|)$":
            pieces.append(self._quantified(self._atom()))
        return "".join(pieces)

    def _atom(self) -> str:
        c = self._next()
        match c:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return _character(_DOT)
            case "\\":
                return _character(self._escape())
        if c in "^*+?{":
            raise self._refused(f"{c!r} at {self._at - 1}")
        return _character(((ord(c), ord(c)),))

    def _group(self) -> str:
        if self._take("?") and not self._take(":"):
            raise self._refused("a group that begins with (?")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._refused("too many groups in each other")
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        if not self._take(")"):
            raise self._refused("a group that is not closed")
        self._depth -= 1
        return _one_of(branches)

    def _quantified(self, piece: str) -> str:
        c = self._peek()
        if c == "{":
            least, most = self._counts()
        elif c and c in _QUANTIFIERS:
            least, most = _QUANTIFIERS[self._next()]
        else:
            return piece
        self._take("?")  # lazy or not, the same strings fit
        if max(least, most or 0) > _MAX_REPEAT:
            raise self._refused(f"more than {_MAX_REPEAT:,} repetitions")
        if most is not None and most < least:
            raise self._refused("a repetition with more at least than at most")
        return _times(piece, least, most)

    def _counts(self) -> tuple[int, int | None]:
        end = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at + 1 : end].partition(",")
        if end < 0 or not _is_count(low) or (high and not _is_count(high)):
            raise self._refused("'{' without counts")
        self._at = end + 1
        if not comma:
            return int(low), int(low)
        return int(low), int(high) if high else None

    def _class(self) -> str:
        start = self._at
        is_negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            ranges += self._span()
        chosen = union(ranges)
        if is_negated:
            names_a_class = re.search(r"\\[dDwWsS]", self._pattern[start : self._at])
            chosen = minus(_ASCII_TEXT if names_a_class else _EVERYTHING, chosen)
        if not minus(chosen, minus(((0x00, 0xDFFF),), _EVERYTHING)):
            raise self._refused("a class without characters")
        return _character(chosen)

    def _span(self) -> Ranges:
        first = self._class_item()
        rest = self._pattern[self._at : self._at + 2]
        if len(rest) < 2 or rest[0] != "-" or rest[1] == "]":
            return first
        self._next()
        last = self._class_item()
        if len(first) != 1 or first[0][0] != first[0][1] or len(last) != 1 or last < first:
            raise self._refused("a range of characters without two ends")
        return ((first[0][0], last[0][1]),)

    def _class_item(self) -> Ranges:
        c = self._next()
        return self._escape() if c == "\\" else ((ord(c), ord(c)),)

    def _escape(self) -> Ranges:
        c = self._next()
        if c in _CLASSES:
            return _CLASSES[c]
        if c in "xu":
            code = self._hex(2) if c == "x" else self._unicode()
        elif c in _CONTROLS:
            code = _CONTROLS[c]
        elif c.isalnum():
            raise self._refused(f"\\{c}")
        else:
            code = ord(c)
        return ((code, code),)

    def _unicode(self) -> int:
        """A code point, also one that is written as two halves."""
        code = self._hex(4)
        if code in _HIGH_HALVES and self._pattern.startswith("\\u", self._at):
            self._at += 2
            low = self._hex(4)
            if low not in _LOW_HALVES:
                raise self._refused("half of a character")
            code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
        elif code in _HIGH_HALVES or code in _LOW_HALVES:
            raise self._refused("half of a character")
        return code

    def _hex(self, length: int) -> int:
        digits = self._pattern[self._at : self._at + length]
        self._at += length
        if len(digits) < length or set(digits) - set("0123456789abcdefABCDEF"):
            raise self._refused("an escape without its digits")
        return int(digits, 16)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        c = self._peek()
        if not c:
            raise self._refused("an end where something should follow")
        self._at += 1
        return c

    def _take(self, c: str) -> bool:
        if self._peek() != c:
            return False
        self._at += 1
        return True

    def _refused(self, what: str) -> UnsupportedFormat:
        return UnsupportedFormat(
            f"The pattern {self._pattern[:80]!r} of the answer format has {what}, "
            "which is not supported; please write it without."
        )
