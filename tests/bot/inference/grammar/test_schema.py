"""JSON schemas to rules: every text that fits the rules is valid under its schema."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections import Counter
from datetime import date, datetime, time
from typing import Any

import jsonschema
import pytest
from hypothesis import event, given, settings

from bot.errors import UnsupportedFormat
from bot.inference.grammar.characters import ANY
from bot.inference.grammar.check import checked
from bot.inference.grammar.formats import grammar_of
from bot.inference.grammar.schema import rules_of
from bot.types import JsonObject, JsonSchema, OneOf
from tests.bot.inference.grammar.schemas import FEATURES, Schema, features, schemas
from tests.bot.inference.grammar.texts import Writer, as_regex

DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def texts(schema: object, count: int = 20) -> list[str]:
    writer = Writer(checked(rules_of(schema)), seed=count)
    return [writer.write() for _ in range(count)]


def answers(schema: object, count: int = 20) -> list[Any]:
    return [json.loads(text) for text in texts(schema, count)]


def validate(schema: Schema, text: str) -> None:
    draft = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    draft(schema, format_checker=draft.FORMAT_CHECKER).validate(json.loads(text))


def test_whatever_the_schema_every_text_that_fits_its_grammar_is_valid() -> None:
    mix: Counter[str] = Counter()

    @settings(max_examples=150, deadline=None)
    @given(schemas)
    def check(schema: Schema) -> None:
        present = set(features(schema))
        mix.update([*present, "all"])
        for feature in present:
            event(feature)
        for text in texts(schema, 5):
            validate(schema, text)

    check()
    assert {feature for feature in FEATURES if mix[feature] < mix["all"] / 10} == set()


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "array", "maxItems": 3},
        {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
        {"type": "object", "additionalProperties": {"type": "null"}, "maxProperties": 2},
        {"type": "object", "required": ["a"], "additionalProperties": {"enum": [1]}},
        {"properties": {"a": {"minimum": 3, "type": "integer"}}},
        {"type": ["object", "null"], "properties": {"a": False, "b": True}},
        {"$schema": DRAFT_7, "items": [{"type": "null"}, {"const": 2}], "additionalItems": False},
        {"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3},
        {"type": "array", "items": False},
        {"type": "array", "uniqueItems": True, "maxItems": 1},
        {"enum": [1, "a", None], "type": ["string", "null"]},
        {"const": {"a": [1, "ü"]}},
        {"type": "string", "minLength": 3, "maxLength": 50_000},
        {"type": "string", "pattern": "^[ab]{2,3}$", "maxLength": 3},
        {"anyOf": [{"type": "string"}, {"type": "integer"}], "title": "either"},
        {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["b"]}]},
        {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        {"allOf": [{"properties": {"a": {"const": 1}}}, {"required": ["a"]}]},
        {"allOf": [{"type": "number", "minimum": 1}, {"type": "integer", "maximum": 3}]},
        {"$defs": {"a~/b": {"enum": [1]}}, "$ref": "#/$defs/a~0~1b", "description": "escaped"},
        {"items": {"$ref": "#/definitions/a"}, "definitions": {"a": {"type": "null"}}},
    ],
)
def test_common_schemas_are_followed(schema: Schema) -> None:
    for text in texts(schema):
        validate(schema, text)


def test_a_recursive_schema_ends() -> None:
    tree: Schema = {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
            "endless": {"type": "array", "items": {"$ref": "#/properties/endless"}, "minItems": 1},
        },
        "required": ["value"],
    }
    for text in texts(tree, 40):
        validate(tree, text)
    assert any("children" in json.loads(text) for text in texts(tree, 40))
    assert not any("endless" in text for text in texts(tree, 40))


def test_objects_that_differ_in_a_constant_are_one_of() -> None:
    cat = {"properties": {"kind": {"const": "cat"}}, "required": ["kind"], "type": "object"}
    dog = {"properties": {"kind": {"enum": ["dog"]}}, "required": ["kind"], "type": "object"}
    schema = {"oneOf": [cat, {"$ref": "#/$defs/dog"}], "$defs": {"dog": dog}}
    assert {answer["kind"] for answer in answers(schema)} == {"cat", "dog"}


def test_keys_come_in_the_schemas_order_and_optional_ones_may_be_missing() -> None:
    properties = {name: {"const": 0} for name in ("c", "a", "b")}
    schema = {"type": "object", "properties": properties, "required": ["a"]}
    keys = {"".join(answer) for answer in answers(schema, 60)}
    assert keys == {"a", "ca", "ab", "cab"}


def test_formats_are_what_python_reads() -> None:
    readers = {
        "date": date.fromisoformat,
        "time": time.fromisoformat,
        "date-time": datetime.fromisoformat,
        "ipv4": ipaddress.IPv4Address,
        "uuid": uuid.UUID,
    }
    for name, reader in readers.items():
        for answer in answers({"type": "string", "format": name}, 100):
            assert reader(answer)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("é", True),
        (r"\u00e9", True),
        (r"\uD7FF", True),
        (r"\ue000", True),
        (r"\n", True),
        (r"\ud83d", False),
        (r"\uDE00", False),
        ("\n", False),
        ('"', False),
        (r"\x", False),
    ],
)
def test_a_character_of_a_string_is_whole_and_escaped(text: str, is_one: bool) -> None:
    """Half a surrogate pair would make two characters of the one that a validator counts."""
    assert (re.fullmatch(as_regex(ANY), text) is not None) == is_one


def test_white_space_is_bounded() -> None:
    for text in texts({"type": "object"}, 100):
        assert "\n\n" not in text
        assert max(map(len, text.split('"')[::2])) < 80


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"not": {"type": "string"}}, "keyword 'not' at # .* is not supported"),
        ({"properties": {"a": {"maxlength": 3}}}, "'maxlength' at #/properties/a"),
        ({"patternProperties": {"a": {}}}, "'patternProperties'"),
        ({"if": {}, "then": {}}, "'if'"),
        ({"type": "text"}, "'text' at # of the answer format is no type"),
        ({"type": "string", "format": "iban"}, "format 'iban' .* known are date"),
        ({"type": "string", "pattern": "a+", "maxLength": 3}, "say the length in the pattern"),
        ({"type": "string", "pattern": "a", "format": "date"}, "both pattern and format"),
        ({"type": "string", "minLength": -1}, "minLength at # .* whole number"),
        ({"type": "string", "minLength": 5_000}, "asks for 5,000 or more; 2,000 is the most"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "No finite answer"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "No finite answer"),
        ({"enum": [1], "minimum": 0}, "enum at # .* not supported beside 'minimum'"),
        ({"enum": []}, "No finite answer"),
        ({"enum": 3}, "enum at # .* must be a list"),
        ({"anyOf": []}, "anyOf at # .* must be a list"),
        ({"anyOf": [3]}, "schema at #/anyOf/0 is no JSON object"),
        ({"required": 3}, "required a list"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems at #"),
        ({"type": "array", "items": {}, "minItems": 3, "maxItems": 2}, "No finite answer"),
        ({"properties": {"a": {}}, "minProperties": 1}, "please use required"),
        ({"type": "object", "minProperties": 2}, "minProperties above 1"),
        ({"oneOf": [{"minimum": 1}, {"maximum": 5}]}, "please use anyOf"),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "'pattern' shall hold at once"),
        ({"allOf": [{"type": "null"}, {"type": "string"}]}, "'type' shall hold at once"),
        (
            {"allOf": [{"additionalProperties": False}, {"properties": {"a": {}}}]},
            "'additionalProperties' shall hold",
        ),
        ({"$ref": "https://example.com/schema"}, "names no part of its schema"),
        ({"$ref": "#/$defs/gone"}, "names no part of its schema"),
        ({"$ref": "#"}, "endlessly recursive"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "leads to itself at once"),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "endlessly recursive"),
    ],
)
def test_unsupported_schemas_are_refused_in_one_sentence(schema: Schema, problem: str) -> None:
    with pytest.raises(UnsupportedFormat, match=problem) as caught:
        grammar_of(JsonSchema(json.dumps(schema)))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def chain_of_choices(length: int) -> Schema:
    """llama.cpp's own check for left recursion would follow every one of 2^length ways."""
    links = {
        f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 2}"}]}
        for n in range(length)
    }
    ends = {f"a{length}": {"type": "null"}, f"a{length + 1}": {"const": 1}}
    return {"$ref": "#/$defs/a0", "$defs": {**links, **ends}}


def doubling(length: int) -> Schema:
    links = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
        for n in range(length)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": {"type": "null"}}}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 65_000,
        '{"items":' * 5_000 + "{}" + "}" * 5_000,
        '{"items":' * 60 + "{}" + "}" * 60,
        json.dumps({"enum": [f"value {n}" for n in range(6_000)]}),
        json.dumps({"properties": {f"k{n}": {} for n in range(4_000)}}),
        json.dumps({"type": "string", "pattern": "^((((a?){30}){30}){30}){30}$"}),
        json.dumps(chain_of_choices(60)),
        json.dumps(doubling(40)),
    ],
)
def test_a_schema_that_would_stall_everybody_is_refused_before_anything_is_done(text: str) -> None:
    with pytest.raises(UnsupportedFormat, match=r"too large|too deeply|more than 65,536"):
        grammar_of(JsonSchema(text))


@pytest.mark.parametrize("text", ["", "nonsense", '{"minimum": NaN}', '{"minimum": 1e999}'])
def test_a_schema_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedFormat, match="no valid JSON"):
        grammar_of(JsonSchema(text))


def test_a_choice_is_its_options_and_nothing_else() -> None:
    assert grammar_of(OneOf(("yes", "no"))) == 'root ::= "yes" | "no"\n'
    for options in ((), ("",), ("a\nb",), tuple(map(str, range(1_001)))):
        with pytest.raises(UnsupportedFormat):
            grammar_of(OneOf(options))


def test_any_object_is_an_object() -> None:
    assert "root ::= object" in grammar_of(JsonObject())
