"""Compiles regular expressions of JSON Schema to grammar expressions.

Where JavaScript and Python differ, only texts that both accept fit: ``\\d``, ``\\w`` and their
opposites mean ASCII. Lookaheads, back-references and word boundaries, which a grammar cannot
express, are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.errors import UnsupportedFormat
from bot.inference.grammar.characters import EVERYTHING, Ranges, in_string, minus, union
from bot.inference.grammar.expressions import EMPTY, Expr, alt, repeat, seq

_MAX_REPEAT = 1_000
_MAX_DEPTH = 32
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
_CONTROLS = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C}
_DOT = minus(EVERYTHING, ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)))
_QUANTIFIERS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True, slots=True)
class Piece:
    """An expression and its length in characters; ``most`` None: unbounded."""

    expr: Expr
    least: int
    most: int | None

    def times(self, least: int, most: int | None) -> Piece:
        longest = None if most is None or self.most is None else self.most * most
        return Piece(repeat(self.expr, least, most), self.least * least, longest)


_NO_TEXT = Piece(EMPTY, 0, 0)


def read(pattern: str, *, is_anchored: bool = False) -> Piece:
    """Strings in which ``pattern`` is found; ``is_anchored``: that match it as a whole.

    Raises UnsupportedFormat.
    """
    return _Reader(pattern, is_anchored).read()


def _sequence(pieces: list[Piece]) -> Piece:
    lengths = [piece.most for piece in pieces]
    most = sum(n for n in lengths if n is not None) if None not in lengths else None
    return Piece(seq(*(p.expr for p in pieces)), sum(p.least for p in pieces), most)


def _one_of(pieces: list[Piece]) -> Piece:
    lengths = [piece.most for piece in pieces]
    most = max(n for n in lengths if n is not None) if None not in lengths else None
    return Piece(alt(p.expr for p in pieces), min(p.least for p in pieces), most)


def _character(ranges: Ranges) -> Piece:
    return Piece(in_string(ranges), 1, 1)


def _is_count(digits: str) -> bool:
    return digits.isascii() and digits.isdecimal() and len(digits) < 10


class _Reader:
    def __init__(self, pattern: str, is_anchored: bool) -> None:
        self._pattern = pattern
        self._is_anchored = is_anchored
        self._at = 0
        self._depth = 0

    def read(self) -> Piece:
        branches = [self._outermost()]
        while self._take("|"):
            branches.append(self._outermost())
        if self._at < len(self._pattern):
            raise self._refused("something behind '$', or one ')' too many")
        return _one_of(branches)

    def _outermost(self) -> Piece:
        """A branch that may be anchored at the beginning and the end of the string."""
        anything = _character(EVERYTHING).times(0, None)
        before = _NO_TEXT if self._take("^") or self._is_anchored else anything
        branch = self._branch()
        after = _NO_TEXT if self._take("$") or self._is_anchored else anything
        return _sequence([before, branch, after])

    def _branch(self) -> Piece:
        pieces = []
        while (c := self._peek()) and c not in "|)$":
            pieces.append(self._quantified(self._atom()))
        return _sequence(pieces)

    def _atom(self) -> Piece:
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

    def _group(self) -> Piece:
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

    def _quantified(self, piece: Piece) -> Piece:
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
        if most is None and piece.least == 0:
            raise self._refused("an endless repetition of what may be empty")
        return piece.times(least, most)

    def _counts(self) -> tuple[int, int | None]:
        end = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at + 1 : end].partition(",")
        if end < 0 or not _is_count(low) or (high and not _is_count(high)):
            raise self._refused("'{' without counts")
        self._at = end + 1
        if not comma:
            return int(low), int(low)
        return int(low), int(high) if high else None

    def _class(self) -> Piece:
        start = self._at
        is_negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            ranges += self._span()
        chosen = union(ranges)
        if is_negated:
            names_a_class = re.search(r"\\[dDwWsS]", self._pattern[start : self._at])
            chosen = minus(_ASCII_TEXT if names_a_class else EVERYTHING, chosen)
        if not chosen:
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
            code = self._hex(2 if c == "x" else 4)
        elif c in _CONTROLS:
            code = _CONTROLS[c]
        elif c.isalnum():
            raise self._refused(f"\\{c}")
        else:
            code = ord(c)
        return ((code, code),)

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
