"""JSON numbers, free or within bounds, digit by digit.

A bounded number has a fixed number of decimals, so it is an integer with a point in it; zeros
at its end may be left out. It has at most 15 digits, which a float represents exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from bot.errors import UnsupportedFormat
from bot.inference.grammar.expressions import (
    EMPTY,
    NOTHING,
    Alt,
    Chars,
    Expr,
    Text,
    alt,
    optional,
    repeat,
    seq,
)

_MAX_DIGITS = 15
_USUAL_DECIMALS = 6
_MAX_BOUND = 10**30
_MAX_MULTIPLES = 1_000
DIGIT = Chars(((0x30, 0x39),))
_FIRST = Chars(((0x31, 0x39),))
_WHOLE = Alt((Text("0"), seq(_FIRST, repeat(DIGIT, 0, _MAX_DIGITS - 1))))
_FRACTION = seq(".", repeat(DIGIT, 1, _MAX_DIGITS))
_EXPONENT = seq(Chars(((0x45, 0x45), (0x65, 0x65))), optional(Chars(((0x2B, 0x2B), (0x2D, 0x2D)))))
INTEGER = seq(optional(Text("-")), _WHOLE)
NUMBER = seq(INTEGER, optional(_FRACTION), optional(seq(_EXPONENT, repeat(DIGIT, 1, 2))))


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range that includes ``low`` and ``high`` unless excluded; None: unbounded."""

    low: Decimal | None = None
    high: Decimal | None = None
    excludes_low: bool = False
    excludes_high: bool = False
    multiple_of: Decimal | None = None

    @property
    def are_open(self) -> bool:
        return self.low is self.high is self.multiple_of is None

    def scaled(self, decimals: int) -> tuple[int, int]:
        """The first and the last number in the range, in units of the last decimal."""
        unit = Decimal(10) ** decimals
        most = 10**_MAX_DIGITS
        low = -most + 1 if self.low is None else _inward(self.low * unit, 1, self.excludes_low)
        high = most - 1 if self.high is None else _inward(self.high * unit, -1, self.excludes_high)
        return (min(low, high - most) if self.low is None else low), (
            max(high, low + most) if self.high is None else high
        )


def _inward(bound: Decimal, step: int, is_excluded: bool) -> int:
    whole = int(bound.to_integral_value(ROUND_CEILING if step > 0 else ROUND_FLOOR))
    return whole + step if is_excluded and whole == bound else whole


def bound(value: object) -> Decimal:
    """A bound as validators see it; raises UnsupportedFormat."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _MAX_BOUND:
        raise UnsupportedFormat(f"{value!r} is no usable bound of a number in the answer format.")
    return Decimal(repr(value))


def integer(bounds: Bounds) -> Expr:
    if bounds.are_open:
        return INTEGER
    if bounds.multiple_of not in (None, 1):
        return _multiples(bounds)
    return _between(*bounds.scaled(0), decimals=0)


def number(bounds: Bounds) -> Expr:
    if bounds.are_open:
        return NUMBER
    if bounds.multiple_of is not None:
        return _grid(bounds, bounds.multiple_of)
    decimals = _num_decimals(bounds)
    return _between(*bounds.scaled(decimals), decimals=decimals)


def _num_decimals(bounds: Bounds) -> int:
    """The usual number of decimals, fewer for large numbers, more for close bounds."""
    largest = max(abs(b) for b in (bounds.low, bounds.high) if b is not None)
    room = max(0, _MAX_DIGITS - len(str(int(largest))))
    usual = min(_USUAL_DECIMALS, room)
    return next((n for n in range(usual, room + 1) if _is_range(*bounds.scaled(n))), usual)


def _is_range(low: int, high: int) -> bool:
    return low <= high


def _grid(bounds: Bounds, unit: Decimal) -> Expr:
    """A power of ten fixes the decimals; other multiples are written as integers only."""
    decimals = -unit.adjusted()
    if unit == Decimal(1).scaleb(-decimals) and 0 <= decimals <= _USUAL_DECIMALS:
        return _between(*bounds.scaled(decimals), decimals=decimals)
    return _multiples(bounds)


def _multiples(bounds: Bounds) -> Expr:
    unit = bounds.multiple_of
    if unit is None or unit <= 0 or unit != unit.to_integral_value():
        raise UnsupportedFormat(f"multipleOf {unit} is not supported in the answer format.")
    low, high = bounds.scaled(0)
    first, step = -(-low // int(unit)) * int(unit), int(unit)
    if bounds.low is None or bounds.high is None or (high - first) // step >= _MAX_MULTIPLES:
        raise UnsupportedFormat(
            f"multipleOf {unit} needs a minimum and a maximum with at most {_MAX_MULTIPLES:,} "
            "multiples between them in the answer format."
        )
    return alt(Text(str(n)) for n in range(first, high + 1, step))


def _between(low: int, high: int, *, decimals: int) -> Expr:
    options = [_positive(max(low, 0), high, decimals)]
    if low < 0:
        options.append(seq("-", _positive(max(1, -high), -low, decimals)))
    return alt(options)


def _positive(low: int, high: int, decimals: int) -> Expr:
    if high < low:
        return NOTHING
    return alt(_digits(a, b, 0, decimals) for a, b in _same_length(low, high, decimals))


def _same_length(low: int, high: int, decimals: int) -> Iterator[tuple[str, str]]:
    """The range in parts with equal numbers of digits, at least one before the point."""
    length = decimals + 1
    while low <= high:
        last = min(high, 10**length - 1)
        if low <= last:
            yield f"{low:0{length}}", f"{last:0{length}}"
            low = last + 1
        length += 1


def _digits(low: str, high: str, at: int, decimals: int) -> Expr:
    """Digits from ``at`` on that lie between those of ``low`` and ``high``, both included."""
    if at == len(low):
        return EMPTY
    if low[at:].strip("0") == "" and high[at:].strip("9") == "":
        return _any_digits(len(low) - at, decimals)
    options: list[Expr] = []
    first, last = int(low[at]), int(high[at])
    if first == last:
        options.append(seq(low[at], _digits(low, high, at + 1, decimals)))
    else:
        inner_first, inner_last = first, last
        rest = len(low) - at - 1
        if low[at + 1 :].strip("0"):
            inner_first += 1
            options.append(seq(low[at], _digits(low, _of("9", high, rest), at + 1, decimals)))
        if high[at + 1 :].strip("9"):
            inner_last -= 1
            options.append(seq(high[at], _digits(_of("0", low, rest), high, at + 1, decimals)))
        if inner_first <= inner_last:
            inner = Chars(((0x30 + inner_first, 0x30 + inner_last),))
            options.append(seq(inner, _any_digits(rest, decimals)))
    return _with_point(alt(options), low, at, decimals)


def _of(digit: str, like: str, rest: int) -> str:
    return like[: len(like) - rest] + digit * rest


def _any_digits(rest: int, decimals: int) -> Expr:
    """``rest`` free digits, of which the last ``decimals`` follow the point."""
    if rest > decimals:
        return seq(repeat(DIGIT, rest - decimals, rest - decimals), _any_digits(decimals, decimals))
    if rest == decimals:
        return optional(seq(".", repeat(DIGIT, 1, decimals))) if decimals else EMPTY
    return repeat(DIGIT, 0, rest)


def _with_point(digits: Expr, low: str, at: int, decimals: int) -> Expr:
    """The point before the first decimal; the rest may be missing if it may be zero."""
    rest = len(low) - at
    if rest == decimals:
        digits = seq(".", digits)
    may_stop = rest <= decimals and not low[at:].strip("0")
    return optional(digits) if may_stop else digits
