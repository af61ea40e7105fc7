"""Keywords that are rewritten: what they leave may be written, and nothing else."""

from __future__ import annotations

import json
from itertools import combinations

import jsonschema
import pytest

from bot.errors import UnsupportedFormat
from tests.bot.inference.grammar.schemas import Schema
from tests.bot.inference.grammar.test_schema import answers, held_to

KEYS = ("card", "cvc", "name", "city")
PAYMENT: Schema = {
    "type": "object",
    "properties": {key: {"type": "null"} for key in KEYS},
    "additionalProperties": False,
}


def objects() -> list[str]:
    """Each set of keys, in their order."""
    sets = [keys for size in range(len(KEYS) + 1) for keys in combinations(KEYS, size)]
    return [json.dumps(dict.fromkeys(keys)) for keys in sets]


@pytest.mark.parametrize(
    "needs",
    [
        {},
        {"card": ["cvc"]},
        {"cvc": ["card", "name"]},
        {"card": ["cvc"], "cvc": ["card"]},
        {"card": ["cvc"], "cvc": ["name"], "name": ["city"]},
        {"card": [], "city": ["city"]},
    ],
)
@pytest.mark.parametrize("required", [[], ["name"], ["card"]])
def test_a_key_comes_with_those_that_it_needs(
    needs: dict[str, list[str]], required: list[str]
) -> None:
    schema = {**PAYMENT, "required": required, "dependentRequired": needs}
    fitting = held_to(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for text in objects():
        assert fitting.has(text) == validator.is_valid(json.loads(text)), text


def test_a_key_that_needs_another_may_be_unnamed() -> None:
    schema = {
        "type": "object",
        "additionalProperties": {"type": "null"},
        "dependentRequired": {"b": ["a"]},
    }
    fitting = held_to(schema)
    fit = [text for text in ('{"a": null}', '{"b": null}', '{"c": null}') if fitting.has(text)]
    assert fit == ['{"a": null}', '{"c": null}']
    assert fitting.has('{"b": null, "a": null}')


@pytest.mark.parametrize(
    ("schema", "fitting", "others"),
    [
        ({"not": {"type": "string"}}, ["3", "null", "true"], ['"a"']),
        ({"type": ["string", "null"], "not": {"type": "null"}}, ['"a"'], ["null"]),
        ({"enum": ["a", 1, 2], "not": {"enum": [1.0, "b"]}}, ['"a"', "2"], ["1"]),
        ({"enum": ["a", "b"], "not": {"const": "b"}}, ['"a"'], ['"b"']),
        ({"type": "null", "not": False}, ["null"], ["1"]),
        ({"properties": {"a": {"not": {}}, "b": {}}}, ["{}", '{"b": 1}'], ['{"a": 1}']),
        ({"anyOf": [{"not": True}, {"type": "null"}]}, ["null"], ["1"]),
    ],
)
def test_what_a_schema_must_not_be_is_never_written(
    schema: Schema, fitting: list[str], others: list[str]
) -> None:
    held = held_to(schema)
    assert [text for text in fitting if not held.has(text)] == []
    assert [text for text in others if held.has(text)] == []


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"not": {"type": "integer"}}, "not at # .* for types"),
        ({"properties": {"a": {"not": {"properties": {}}}}}, "not at #/properties/a "),
        ({"not": {"const": 1}}, "not at # "),
        ({"not": {"type": "text"}}, "'text' at #/not .* is no type"),
        ({"not": 3}, "not at # .* must be a schema"),
        ({"not": {}}, "No finite answer"),
        ({"dependentRequired": {k: ["a"] for k in "bcdefg"}}, "up to 5"),
        ({"dependentRequired": {"a": ["b"]}, "anyOf": [{}]}, "not beside"),
        ({"$ref": "#b", "$defs": {"a": {"$anchor": "a"}}}, "'#b' at # .* names no part"),
        ({"$ref": "#a", "$defs": {"b": {"$id": "http://b", "$anchor": "a"}}}, "names no part"),
        ({"enum": [{"$anchor": "a"}], "$ref": "#a"}, "names no part"),
    ],
)
def test_what_cannot_be_rewritten_is_refused_by_name(schema: Schema, problem: str) -> None:
    with pytest.raises(UnsupportedFormat, match=problem):
        held_to(schema)


def test_a_part_may_be_named_by_an_anchor() -> None:
    tree = {
        "properties": {"left": {"$ref": "#tree"}, "size": {"$ref": "#size"}},
        "$anchor": "tree",
        "$defs": {"n": {"$anchor": "size", "enum": [1, 2]}},
    }
    fitting = held_to(tree)
    assert fitting.has('{"left": {"left": {}, "size": 1}, "size": 2}')
    assert not fitting.has('{"left": {"size": 3}}')
    assert any("size" in answer for answer in answers(tree))
