"""Characters of a JSON string, plain and escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bot.inference.grammar.expressions import Alt, Chars, Expr, Text, alt, seq

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
EVERYTHING: Ranges = ((0x00, 0xD7FF), (0xE000, LAST))
"""All code points but surrogates, which do not occur in UTF-8."""

_ESCAPES = {0x08: "b", 0x09: "t", 0x0A: "n", 0x0C: "f", 0x0D: "r", 0x22: '"', 0x5C: "\\"}
_HEX = Chars(((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)))
_HEX_BELOW_D = Chars(((0x30, 0x39), (0x41, 0x43), (0x45, 0x46), (0x61, 0x63), (0x65, 0x66)))
_CONTROL: Ranges = ((0x00, 0x1F),)


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


def both(ranges: Ranges, others: Ranges) -> Ranges:
    return minus(ranges, minus(EVERYTHING, others))


def in_string(ranges: Ranges) -> Expr:
    """One of these characters, as it is written in a JSON string.

    Control characters without a short escape are left out: nobody asks for them.
    """
    escaped = [code for code in _ESCAPES if any(a <= code <= b for a, b in ranges)]
    special: Ranges = (*_CONTROL, *((code, code) for code in _ESCAPES))
    plain = minus(both(ranges, EVERYTHING), special)
    options: list[Expr] = [Chars(plain)] if plain else []
    return alt([*options, *(Text("\\" + _ESCAPES[code]) for code in escaped)])


def _any() -> Expr:
    """Any character, also as \\uXXXX, but no single surrogate, which would count as one."""
    plain = in_string(minus(EVERYTHING, tuple((code, code) for code in (*_ESCAPES, 0x7F))))
    short = Chars(tuple((ord(c), ord(c)) for c in ('"', "/", "\\", *"bfnrt")))
    low_d = seq(Chars(((0x44, 0x44), (0x64, 0x64))), Chars(((0x30, 0x37),)))
    code = seq("u", Alt((seq(_HEX_BELOW_D, _HEX), low_d)), _HEX, _HEX)
    return Alt((plain, seq("\\", Alt((short, code)))))


ANY = _any()
