"""The keywords of JSON Schema: which are followed, which only describe, and what they must be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import UnsupportedFormat

Schema = Mapping[str, Any]
Demands = dict[str, Any]

_ANNOTATIONS = frozenset(
    {
        *("$anchor", "$comment", "$defs", "$id", "$schema", "contentEncoding", "contentMediaType"),
        *("default", "definitions", "deprecated", "description", "discriminator", "example"),
        *("examples", "id", "readOnly", "title", "writeOnly"),
    }
)
OF_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset(
        {
            *(
                "additionalProperties",
                "dependentRequired",
                "maxProperties",
                "minProperties",
                "patternProperties",
            ),
            *("properties", "propertyNames", "required"),
        }
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
JOINING = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
"""Keywords whose schemas hold together with what stands beside them."""

MAX_LEAST, _MAX_MOST = 2_000, 20_000
MAX_BOUND = 10**15
"""Larger numbers are not written: a validator's floating point does not tell them apart."""


def _is_count(value: object) -> bool:
    return not isinstance(value, bool) and (
        (isinstance(value, int) and value >= 0)
        or (isinstance(value, float) and value >= 0 and value.is_integer())
    )


def _is_within(value: object, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and low <= value <= high


def _is_least(value: object) -> bool:
    return _is_within(value, -math.inf, MAX_BOUND)


def _is_most(value: object) -> bool:
    return _is_within(value, -MAX_BOUND, math.inf)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_Demand = tuple[Callable[[object], bool], str]
_COUNT: _Demand = _is_count, "a whole number from 0"
_LEAST: _Demand = _is_least, f"a number of at most {MAX_BOUND:,}"
_MOST: _Demand = _is_most, f"a number of at least -{MAX_BOUND:,}"
_OPTIONS: _Demand = (lambda value: _is_list(value) and bool(value)), "a list of schemas"
_OBJECT: _Demand = (lambda value: isinstance(value, Mapping)), "an object"
_FLAG: _Demand = _is_flag, "true or false"
_TEXT: _Demand = _is_text, "a text"
_SCHEMA: _Demand = (lambda value: isinstance(value, bool | Mapping)), "a schema"
_MUST_BE: Mapping[str, _Demand] = {
    **dict.fromkeys(("maxItems", "maxLength", "maxProperties"), _COUNT),
    **dict.fromkeys(("minItems", "minLength", "minProperties"), _COUNT),
    "minimum": _LEAST,
    "maximum": _MOST,
    "exclusiveMinimum": ((lambda value: _is_flag(value) or _is_least(value)), _LEAST[1]),
    "exclusiveMaximum": ((lambda value: _is_flag(value) or _is_most(value)), _MOST[1]),
    "multipleOf": (lambda value: _is_within(value, 5e-324, math.inf), "a number above 0"),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _OPTIONS),
    **dict.fromkeys(("dependentRequired", "patternProperties", "properties"), _OBJECT),
    **dict.fromkeys(("nullable", "uniqueItems"), _FLAG),
    **dict.fromkeys(("$ref", "format", "pattern"), _TEXT),
    **dict.fromkeys(("additionalItems", "additionalProperties", "not", "propertyNames"), _SCHEMA),
    "items": (lambda value: isinstance(value, bool | Mapping | list), "a schema"),
    "enum": (_is_list, "a list of values"),
    "required": (
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "a list of texts",
    ),
    "type": (lambda value: bool(_listed(value)), "a type or a list of types"),
    "const": (lambda _: True, ""),
}


def assertions(schema: object, where: str) -> Demands:
    """What the schema demands, each of the type that it must have; raises UnsupportedFormat.

    Keywords that only describe are left out, and those of older drafts written as today's.
    """
    if not isinstance(schema, Mapping):
        raise UnsupportedFormat(f"The answer format's schema at {where} is no JSON object.")
    demands = {key: value for key, value in schema.items() if not _only_describes(key)}
    for key, value in demands.items():
        _check(key, value, where)
    return _modern(demands)


def _only_describes(key: str) -> bool:
    return key in _ANNOTATIONS or key.startswith("x-")


def _check(key: str, value: object, where: str) -> None:
    if key not in _MUST_BE:
        raise UnsupportedFormat(
            f"The keyword {key[:80]!r} at {where} of the answer format's schema "
            "is not supported; please leave it out."
        )
    is_right, what = _MUST_BE[key]
    if not is_right(value):
        raise UnsupportedFormat(f"{key} at {where} of the answer format must be {what}.")
    if key == "type":
        for name in _listed(value):
            if name != "integer" and (not isinstance(name, str) or name not in OF_TYPE):
                raise UnsupportedFormat(f"{name!r} at {where} of the answer format is no type.")
    if key in ("minItems", "minLength") and isinstance(value, int | float) and value > MAX_LEAST:
        raise UnsupportedFormat(
            f"At {where} the answer format asks for {value:,} or more; {MAX_LEAST:,} is the most."
        )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _modern(demands: Demands) -> Demands:
    """Counts as integers; ``nullable``, lists of ``items`` and bounds of draft 4 as today's."""
    modern = {
        key: min(int(value), _MAX_MOST) if _MUST_BE[key] is _COUNT else value
        for key, value in demands.items()
    }
    for bound in ("Maximum", "Minimum"):
        exclusive = modern.get(f"exclusive{bound}")
        if isinstance(exclusive, bool):
            del modern[f"exclusive{bound}"]
            if exclusive and bound.lower() in modern:
                modern[f"exclusive{bound}"] = modern.pop(bound.lower())
    for bound, nearest in (("Maximum", min), ("Minimum", max)):
        for key in (bound.lower(), f"exclusive{bound}"):
            if key in modern:
                modern[key] = nearest(modern[key], MAX_BOUND if nearest is min else -MAX_BOUND)
    if isinstance(modern.get("items"), list):
        modern["prefixItems"] = modern.pop("items")
        if "additionalItems" in modern:
            modern["items"] = modern["additionalItems"]
        if not modern["prefixItems"]:
            del modern["prefixItems"]
    modern.pop("additionalItems", None)
    if modern.pop("nullable", False) and "type" in modern:
        modern["type"] = [*_listed(modern["type"]), "null"]
    return modern


def types(schema: Schema) -> list[str]:
    """The types that the schema names, or else those that its keywords belong to."""
    if "type" in schema:
        return [str(name) for name in dict.fromkeys(_listed(schema["type"]))]
    return [name for name, keywords in OF_TYPE.items() if keywords & schema.keys()]
