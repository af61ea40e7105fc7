"""The keywords of JSON Schema: supported, ignored, and refused ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bot.errors import UnsupportedFormat

Schema = Mapping[str, Any]

_HALVES = re.compile("[\ud800-\udfff]")
_ANNOTATIONS = frozenset(
    {
        *("$comment", "$defs", "$id", "$schema", "contentEncoding", "contentMediaType"),
        *("default", "definitions", "deprecated", "description", "discriminator", "example"),
        *("examples", "id", "readOnly", "title", "writeOnly"),
    }
)
OF_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset(
        {"additionalProperties", "maxProperties", "minProperties", "properties", "required"}
    ),
    "array": frozenset(
        {"additionalItems", "items", "maxItems", "minItems", "prefixItems", "uniqueItems"}
    ),
    "string": frozenset({"format", "maxLength", "minLength", "pattern"}),
    "number": frozenset(
        {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"}
    ),
    "boolean": frozenset(),
    "null": frozenset(),
}
_GENERAL = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "oneOf", "type"})
_UNDERSTOOD = _GENERAL.union(*OF_TYPE.values())


def assertions(schema: object, where: str) -> dict[str, Any]:
    """The schema without keywords that only describe; raises UnsupportedFormat."""
    if schema is True:
        return {}
    if not isinstance(schema, Mapping):
        raise UnsupportedFormat(f"The answer format's schema at {where} is no JSON object.")
    demands = {key: value for key, value in schema.items() if not _only_describes(key)}
    for key in demands:
        if key not in _UNDERSTOOD:
            raise UnsupportedFormat(
                f"The keyword {key[:80]!r} at {where} of the answer format's schema "
                "is not supported; please leave it out."
            )
    return demands


def _only_describes(key: str) -> bool:
    return key in _ANNOTATIONS or key.startswith("x-")


def literal(value: object) -> str:
    """A value as it is written in an answer; values that are written alike are equal."""
    text = json.dumps(value, ensure_ascii=False)
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def types(schema: Schema, where: str) -> tuple[str, ...]:
    """The types that the schema names, or else those that its keywords belong to."""
    named = schema.get("type")
    if named is not None:
        listed = named if isinstance(named, list) else [named]
        for name in listed:
            if name != "integer" and (not isinstance(name, str) or name not in OF_TYPE):
                raise UnsupportedFormat(f"{name!r} at {where} of the answer format is no type.")
        return tuple(dict.fromkeys(listed))
    return tuple(name for name, keywords in OF_TYPE.items() if keywords & schema.keys())


def count(schema: Schema, key: str, default: int | None, where: str) -> int | None:
    """A length or number of items; raises UnsupportedFormat."""
    value = schema.get(key, default)
    if value is None or (isinstance(value, int | float) and value == int(value) and value >= 0):
        return None if value is None else int(value)
    raise UnsupportedFormat(f"{key} at {where} of the answer format must be a whole number from 0.")
