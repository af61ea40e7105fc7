"""Bounded numbers: exactly those within their bounds fit."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import UnsupportedFormat
from bot.inference.grammar.expressions import NOTHING
from bot.inference.grammar.numbers import Bounds, bound, integer, number
from tests.bot.inference.grammar.texts import as_regex

BOUNDS = st.decimals(-120, 120, places=2)


def is_within(value: Decimal, bounds: Bounds) -> bool:
    low = bounds.low is None or value > bounds.low - (not bounds.excludes_low and Decimal("1e-9"))
    high = bounds.high is None or value < bounds.high + (
        not bounds.excludes_high and Decimal("1e-9")
    )
    return low and high


bounds_of_all_kinds = st.builds(
    Bounds, st.none() | BOUNDS, st.none() | BOUNDS, st.booleans(), st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(bounds_of_all_kinds)
def test_an_integer_is_written_if_and_only_if_it_is_within_its_bounds(bounds: Bounds) -> None:
    expr = re.compile(as_regex(integer(bounds)) if integer(bounds) != NOTHING else "(?!)")
    for value in range(-1_100, 1_100):
        written = expr.fullmatch(str(value)) is not None
        assert written == is_within(Decimal(value), bounds), value


@settings(max_examples=60, deadline=None)
@given(bounds_of_all_kinds, st.data())
def test_a_number_is_written_if_and_only_if_it_is_within_its_bounds(
    bounds: Bounds, data: st.DataObject
) -> None:
    found = number(bounds)
    expr = re.compile(as_regex(found) if found != NOTHING else "(?!)")
    near = [b + d for b in (bounds.low, bounds.high) if b is not None for d in (0, 1, -1)]
    near += [b + Decimal(n) / 1_000 for b in near for n in (-11, -1, 1, 10)]
    drawn = data.draw(st.lists(st.decimals(-130, 130, places=4), max_size=30))
    for value in [*near, *drawn, Decimal(0)]:
        text = f"{value:f}" if value else "0"
        written = expr.fullmatch(text) is not None
        assert written == is_within(value, bounds), text


@pytest.mark.parametrize(
    "text", ["", "-", "-0", "00", "01", "1.", ".5", "-0.", "1e5", "+1", "--1", "1.2.3"]
)
def test_texts_that_are_not_plain_numbers_never_fit(text: str) -> None:
    for bounds in (Bounds(Decimal(-5), Decimal(5)), Bounds(low=Decimal("-0.25"))):
        assert not re.fullmatch(as_regex(number(bounds)), text)
        assert not re.fullmatch(as_regex(integer(bounds)), text)


def test_a_number_between_close_bounds_has_as_many_decimals_as_it_takes() -> None:
    tiny = Bounds(Decimal("1e-9"), Decimal("2e-9"))
    assert re.fullmatch(as_regex(number(tiny)), "0.000000002")
    assert not re.fullmatch(as_regex(number(tiny)), "0")


def test_prices_are_written_in_cents() -> None:
    price = Bounds(Decimal(0), Decimal("9.99"), multiple_of=Decimal("0.01"))
    expr = re.compile(as_regex(number(price)))
    assert [text for text in ("0", "9.99", "3.5", "10", "1.234") if expr.fullmatch(text)] == [
        "0",
        "9.99",
        "3.5",
    ]


def test_multiples_are_listed() -> None:
    dozens = Bounds(Decimal(-13), Decimal(30), multiple_of=Decimal(12))
    assert re.findall(as_regex(integer(dozens)), "-12 0 12 24") == ["-12", "0", "12", "24"]
    with pytest.raises(UnsupportedFormat, match="needs a minimum and a maximum"):
        integer(Bounds(multiple_of=Decimal(7)))
    with pytest.raises(UnsupportedFormat, match=r"multipleOf 0\.3 is not supported"):
        number(Bounds(multiple_of=Decimal("0.3")))


@pytest.mark.parametrize("value", [True, "3", None, 10**31])
def test_an_invalid_bound_is_refused(value: object) -> None:
    with pytest.raises(UnsupportedFormat, match="is no usable bound"):
        bound(value)
