"""JSON schemas to rules: every text that fits the rules is valid under its schema."""

from __future__ import annotations

import ipaddress
import json
import uuid
from collections import Counter
from datetime import date, datetime, time
from typing import Any

import jsonschema
import pytest
from hypothesis import event, given, settings

from bot.answer_formats import JsonObject, JsonSchema, OneOf
from bot.errors import UnsupportedFormat
from bot.inference.grammar.formats import grammar_of
from tests.bot.inference.grammar.schemas import FEATURES, Schema, features, schemas
from tests.bot.inference.grammar.texts import Texts

NUM_SCHEMAS = 1_000
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def held_to(schema: object) -> Texts:
    text = json.dumps(schema, ensure_ascii=False)
    return Texts(grammar_of(JsonSchema(text)), hint=text)


def texts(schema: object, count: int = 20) -> list[str]:
    fitting = held_to(schema)
    return [fitting.random(seed) for seed in range(count)]


def answers(schema: object, count: int = 20) -> list[Any]:
    return [json.loads(text) for text in texts(schema, count)]


def validate(schema: Schema, text: str) -> None:
    draft = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    draft(schema, format_checker=draft.FORMAT_CHECKER).validate(json.loads(text))


def test_whatever_the_schema_every_text_that_fits_its_grammar_is_valid() -> None:
    mix: Counter[str] = Counter()

    @settings(max_examples=NUM_SCHEMAS, deadline=None)
    @given(schemas)
    def check(schema: Schema) -> None:
        present = set(features(schema))
        mix.update([*present, "all"])
        for feature in present:
            event(feature)
        for text in texts(schema, 2):
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
        {"enum": [-1, 1, "a"], "minimum": 0},
        {"allOf": [{"pattern": "a"}, {"pattern": "b"}]},
        {"allOf": [{"additionalProperties": False}, {"properties": {"a": {}}}]},
        {"properties": {"a": {}}, "minProperties": 1},
        {"type": "string", "pattern": "a+", "maxLength": 3},
        {"patternProperties": {"^a": {"type": "null"}}},
        {"anyOf": [{"multipleOf": 3}], "oneOf": [{"multipleOf": 5}], "type": "integer"},
        {"type": "integer", "maximum": 2**63 - 1},
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
        (r"\n", True),
        (r"\u0001", True),
        (r"\ud83d", False),
        (r"\uDE00", False),
        ("\n", False),
        ('"', False),
        (r"\x", False),
    ],
)
def test_a_character_of_a_string_is_whole_and_escaped(text: str, is_one: bool) -> None:
    """Half a surrogate pair would make two characters of the one that a validator counts."""
    fitting = held_to({"type": "string", "minLength": 1, "maxLength": 1})
    assert fitting.has(f'"{text}"') == is_one


def test_an_answer_is_written_in_one_line() -> None:
    """So that no model fills it with spaces, and most of a record needs no sampling."""
    fitting = held_to({"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]})
    assert fitting.has('{"a": 1}')
    assert not fitting.has('{"a":  1}')
    assert not fitting.has('{\n "a": 1}')


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"not": {"minLength": 3}}, "not at # .* is followed for types"),
        ({"contains": {}}, "keyword 'contains' at # .* is not supported"),
        ({"dependentRequired": {"a": "b"}}, "dependentRequired at # .* lists of keys"),
        ({"$ref": "#gone"}, "names no part of its schema"),
        ({"properties": {"a": {"maxlength": 3}}}, "'maxlength' at #/properties/a"),
        ({"if": {}, "then": {}}, "'if'"),
        ({"type": "text"}, "'text' at # of the answer format is no type"),
        ({"type": "string", "format": "iban"}, "format 'iban' .* known are date"),
        ({"type": "string", "minLength": -1}, "minLength at # .* whole number"),
        ({"type": "string", "minLength": 5_000}, "asks for 5,000 or more; 2,000 is the most"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "No finite answer"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "No finite answer"),
        ({"enum": []}, "No finite answer"),
        ({"enum": 3}, "enum at # .* must be a list"),
        ({"anyOf": []}, "anyOf at # .* must be a list"),
        ({"anyOf": [3]}, "schema at #/anyOf/0 is no JSON object"),
        ({"required": 3}, "required at # .* must be a list of texts"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems at #"),
        ({"type": "array", "items": {}, "minItems": 3, "maxItems": 2}, "No finite answer"),
        ({"properties": {"a": {}, "b": {}, "c": {}}, "minProperties": 2}, "please use required"),
        ({"properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 2}, "please use required"),
        ({"type": "object", "minProperties": 2}, "minProperties above 1"),
        ({"oneOf": [{"minimum": 1}, {"maximum": 5}]}, "please use anyOf"),
        ({"allOf": [{"type": "null"}, {"type": "string"}]}, "No finite answer"),
        ({"$ref": "https://example.com/schema"}, "names no part of its schema"),
        ({"$ref": "#/$defs/gone"}, "names no part of its schema"),
        ({"$ref": "#"}, "endlessly recursive"),
        (
            {"anyOf": [{"allOf": [{"$ref": "#"}, {"type": "string"}]}, {"type": "null"}]},
            "leads to itself at once",
        ),
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


def choices_of(letter: str) -> Schema:
    """Options that can be combined with those of another letter."""
    keys = [f"{letter}{n}" for n in range(6)]
    return {"anyOf": [{"properties": {key: {"type": "null"}}, "required": [key]} for key in keys]}


@pytest.mark.parametrize(
    "schema",
    [
        chain_of_choices(60),
        {"type": "string", "pattern": "^((((a?){30}){30}){30}){30}$"},
        {"enum": [f"code-{n:04}" for n in range(2_760)]},
    ],
)
def test_a_schema_that_is_only_large_on_paper_is_followed(schema: Schema) -> None:
    for text in texts(schema, 3):
        validate(schema, text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 65_000,
        '{"items":' * 5_000 + "{}" + "}" * 5_000,
        '{"items":' * 60 + "{}" + "}" * 60,
        json.dumps({"enum": [f"value {n}" for n in range(6_000)]}),
        json.dumps({"properties": {f"k{n}": {} for n in range(4_000)}}),
        json.dumps({"allOf": [choices_of(letter) for letter in "abcdef"]}),
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
    fitting = Texts(grammar_of(OneOf(("yes", "no", 'no "\\'))))
    assert {fitting.random(seed) for seed in range(40)} == {"yes", "no", 'no "\\'}
    for options in ((), ("",), ("a\nb",), tuple(map(str, range(1_001)))):
        with pytest.raises(UnsupportedFormat):
            grammar_of(OneOf(options))


def test_any_object_is_an_object() -> None:
    fitting = Texts(grammar_of(JsonObject()))
    assert fitting.has('{"a": [1, {}]}')
    assert not fitting.has("[]")


NAMED = {"type": "object", "properties": {"kind": {"const": "cat", "default": "cat"}}}
MAIL = (
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+"
    r"[A-Za-z]{2,}$"
)
"""Zod's e-mail address."""


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2_083},
        {"type": "string", "format": "email", "maxLength": 40},
        {"type": "string", "format": "email", "pattern": MAIL},
        {"type": "string", "pattern": MAIL},
        {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        {"type": "string", "format": "uuid4"},
        {"type": "string", "format": "ipv6"},
        {"type": ["string", "null"], "format": "date", "pattern": "^2"},
        {"type": "string", "format": "password", "writeOnly": True, "minLength": 8},
        {"type": "string", "format": "binary"},
        {"type": "integer", "format": "int64"},
        {
            "type": "object",
            "additionalProperties": {"type": "null"},
            "propertyNames": {"type": "string"},
        },
        {"propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "null"}},
        {"propertyNames": {"format": "date"}, "additionalProperties": {"type": "null"}},
        {"propertyNames": {"pattern": "^[a-z]$"}, "additionalProperties": {"type": "null"}},
        {"type": "object", "patternProperties": {"^S_": {"type": "null"}}},
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "integer",
            "minimum": 3,
            "exclusiveMinimum": True,
        },
    ],
)
def test_what_generators_write_by_themselves_is_followed(schema: Schema) -> None:
    for text in texts(schema):
        validate(schema, text)


@pytest.mark.parametrize(
    ("items", "values"),
    [
        ({"enum": ["a", "b", "c"]}, ["c", "a", "b"]),
        ({"$ref": "#/$defs/colour"}, ["blue", "red", "green"]),
        ({"type": "integer", "enum": [1, 2, 2, 3, 4, 5, 6, 7, 8]}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"type": "boolean"}, [False, True]),
    ],
)
def test_a_set_of_few_values_has_each_at_most_once(items: Schema, values: list[Any]) -> None:
    """Pydantic's set of a literal or an enum."""
    colour = {"enum": ["red", "green", "blue"], "type": "string"}
    sets = {"type": "array", "items": items, "uniqueItems": True, "minItems": 1}
    schema = {**sets, "$defs": {"colour": colour}}
    for text in texts(schema, 30):
        validate(schema, text)
    fitting = held_to(schema)
    assert fitting.has(json.dumps(values))
    assert not fitting.has(json.dumps([values[0], values[0]]))
    assert not fitting.has("[]")


@pytest.mark.parametrize("items", [{"type": "string"}, {"enum": list(range(40))}, {}])
def test_a_set_of_many_values_is_refused(items: Schema) -> None:
    schema = {"type": "array", "items": items, "uniqueItems": True}
    with pytest.raises(UnsupportedFormat, match=r"uniqueItems at # .* few values only"):
        grammar_of(JsonSchema(json.dumps(schema)))


def test_a_value_that_may_be_null_in_openapi_may_be_null() -> None:
    assert set(texts({"type": "boolean", "nullable": True})) == {
        "true",
        "false",
        "null",
    }


@pytest.mark.parametrize("schema", [doubling(40), {"anyOf": [{"$ref": "#"}, {"type": "null"}]}])
def test_what_a_validator_would_never_finish_is_followed(schema: Schema) -> None:
    assert set(texts(schema, 3)) == {"null"}


def test_options_that_differ_in_a_literal_with_a_default_have_it_written() -> None:
    """Pydantic does not require such a key, and without it both options would hold."""
    dog = {"type": "object", "properties": {"kind": {"const": "dog", "default": "dog"}}}
    schema = {"oneOf": [{"$ref": "#/$defs/cat"}, dog], "$defs": {"cat": NAMED}}
    assert {answer["kind"] for answer in answers(schema)} == {"cat", "dog"}


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "array", "prefixItems": None}, "prefixItems at # .* must be a list"),
        ({"pattern": None}, "pattern at # .* must be a text"),
        ({"required": [1]}, "required at # .* must be a list of texts"),
        ({"type": []}, "type at # .* must be a type"),
        ({"minLength": True}, "minLength at # .* whole number"),
        ({"minimum": "3"}, "minimum at # .* must be a number"),
        ({"minimum": True}, "minimum at # .* must be a number"),
        ({"multipleOf": 0}, "multipleOf at # .* must be a number above 0"),
        ({"properties": []}, "properties at # .* must be an object"),
        ({"uniqueItems": 1}, "uniqueItems at # .* must be true or false"),
        ({"$ref": 3}, r"\$ref at # .* must be a text"),
        ({"items": 3}, "items at # .* must be a schema"),
        ({"additionalProperties": None}, "additionalProperties at # .* must be a schema"),
        ({"properties": {"a": {"format": 3}}}, "format at #/properties/a .* must be a text"),
        ({"type": "string", "pattern": "^\\ud83d$"}, "half of a character"),
        ({"enum": ["\ud83d"]}, "half of a character"),
    ],
)
def test_a_keyword_of_the_wrong_type_is_named(schema: Schema, problem: str) -> None:
    with pytest.raises(UnsupportedFormat, match=problem):
        grammar_of(JsonSchema(json.dumps(schema)))


def test_a_character_beyond_16_bits_may_be_written_as_two_halves() -> None:
    assert texts({"type": "string", "pattern": r"^\ud83d\ude00$"}, 1) == ['"😀"']
