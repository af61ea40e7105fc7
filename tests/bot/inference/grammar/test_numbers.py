"""Bounded numbers: exactly those within their bounds fit."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.answer_formats import JsonSchema
from bot.errors import UnsupportedFormat
from bot.inference.grammar.formats import grammar_of
from tests.bot.inference.grammar.schemas import Schema
from tests.bot.inference.grammar.texts import Texts

BOUND = st.decimals(-120, 120, places=2).map(float)
LOW = st.sampled_from(("minimum", "exclusiveMinimum"))
HIGH = st.sampled_from(("maximum", "exclusiveMaximum"))


def held_to(schema: Schema) -> Texts | None:
    """None if no number fits."""
    try:
        return Texts(grammar_of(JsonSchema(json.dumps(schema))))
    except UnsupportedFormat:
        return None


def is_within(value: Decimal, schema: Schema) -> bool:
    bounds = {key: Decimal(repr(bound)) for key, bound in schema.items() if key != "type"}
    return (
        value >= bounds.get("minimum", value)
        and value <= bounds.get("maximum", value)
        and ("exclusiveMinimum" not in bounds or value > bounds["exclusiveMinimum"])
        and ("exclusiveMaximum" not in bounds or value < bounds["exclusiveMaximum"])
    )


bounds_of_all_kinds = st.one_of(
    st.dictionaries(LOW, BOUND, min_size=1, max_size=1),
    st.dictionaries(HIGH, BOUND, min_size=1, max_size=1),
    st.tuples(LOW, BOUND, HIGH, BOUND).map(
        lambda b: {b[0]: min(b[1], b[3]), b[2]: max(b[1], b[3])}
    ),
)


@settings(max_examples=25, deadline=None)
@given(bounds_of_all_kinds)
def test_an_integer_is_written_if_and_only_if_it_is_within_its_bounds(bounds: Schema) -> None:
    schema = {"type": "integer", **bounds}
    fitting = held_to(schema)
    for value in [*range(-130, 130), -1_100, 1_100, 99_999]:
        written = fitting is not None and fitting.has(str(value))
        assert written == is_within(Decimal(value), schema), value


@settings(max_examples=100, deadline=None)
@given(bounds_of_all_kinds, st.lists(st.decimals(-130, 130, places=4), max_size=30))
@example({"exclusiveMinimum": 0.0, "maximum": 0.11}, [Decimal("0.0001"), Decimal("1e-9")])
@example({"exclusiveMinimum": 0.0, "exclusiveMaximum": 1e-8}, [Decimal("1e-9"), Decimal("5e-9")])
@example({"exclusiveMaximum": 0.0, "minimum": -0.11}, [Decimal("-0.0001"), Decimal("-1e-9")])
def test_a_number_is_written_if_and_only_if_it_is_within_its_bounds(
    bounds: Schema, drawn: list[Decimal]
) -> None:
    schema = {"type": "number", **bounds}
    fitting = held_to(schema)
    near = [Decimal(repr(b)) + d for b in bounds.values() for d in (0, 1, -1)]
    near += [b + Decimal(n) / 1_000 for b in near for n in (-11, -1, 1, 10)]
    for value in [*near, *drawn, Decimal(0)]:
        text = f"{value.normalize():f}" if value else "0"
        assert (fitting is not None and fitting.has(text)) == is_within(value, schema), text


@pytest.mark.parametrize("reach", [0.11, 0.9, 1e-8, 1e-10, 1, 30])
def test_zero_is_beyond_an_exclusive_bound_of_zero_in_every_spelling(reach: float) -> None:
    for bounds in (
        {"exclusiveMinimum": 0, "maximum": reach},
        {"exclusiveMaximum": 0, "minimum": -reach},
    ):
        fitting = held_to({"type": "number", **bounds})
        assert fitting is not None
        assert not [text for text in ("0", "-0", "0.0", "-0.0", "0.00") if fitting.has(text)]


@pytest.mark.parametrize("text", ["", "-", "00", "01", "1.", ".5", "+1", "--1", "1.2.3"])
def test_texts_that_are_no_numbers_never_fit(text: str) -> None:
    for kind in ("integer", "number"):
        for bounds in ({}, {"minimum": -5, "maximum": 5}, {"minimum": -0.25}):
            fitting = held_to({"type": kind, **bounds})
            assert fitting is not None
            assert not fitting.has(text)


def test_prices_are_written_in_cents() -> None:
    price = {"type": "number", "minimum": 0, "maximum": 9.99, "multipleOf": 0.01}
    fitting = held_to(price)
    assert fitting is not None
    fit = [text for text in ("0", "9.99", "3.5", "10", "1.234") if fitting.has(text)]
    assert fit == ["0", "9.99", "3.5"]


def test_multiples_need_no_bounds() -> None:
    fitting = held_to({"type": "integer", "multipleOf": 7})
    assert fitting is not None
    assert [n for n in range(-20, 40) if fitting.has(str(n))] == [-14, -7, 0, 7, 14, 21, 28, 35]


def test_an_integer_without_bounds_ends() -> None:
    fitting = held_to({"type": "integer"})
    assert fitting is not None
    assert fitting.has("999999999999999")
    assert not fitting.has("9" * 17)
