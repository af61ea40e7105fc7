"""JSON schemas as people write them, with short answers only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

NAMES = ("name", "age", "größe", 'a "b"', "tags", "is_it", "x\n")
PATTERNS = (
    r"^[a-z]{2,5}$",
    r"^\d{3}-\d{2}$",
    r"^(red|green|blue)\s?[^\s\d]?$",
    r'^"[\w.]+\\"$',
    r"^[A-Z][^\"]{0,4}\.?$",
    r"^\(?[0-9a-f]{2}(:[0-9a-f]{2}){1,3}\)?$",
    r"^é.{0,4}$|^[à-ü]{1,3}$",
    r"^.{0,5}!$",
)
FORMATS = ("date", "time", "date-time", "duration", "email", "hostname", "ipv4", "uri", "uuid")
FEATURES = ("nested object", "array", "enum", "bounded number", "optional key")

_values = st.one_of(
    st.none(), st.booleans(), st.integers(-99, 99), st.sampled_from(("yes", 'q"\\', "naïve", ""))
)
_numbers = st.one_of(
    st.integers(-300, 300),
    st.decimals(-40, 40, places=3).map(float),
    st.sampled_from((0, -0.5, 1e-7, 12345.678)),
)


def _bounded(kind: str) -> st.SearchStrategy[Schema]:
    def bounds(pair: tuple[float, float, str, str]) -> Schema:
        low, high, low_key, high_key = pair
        low, high = sorted((low, high))
        return {"type": kind, low_key: low, high_key: high + 2}

    lows = st.sampled_from(("minimum", "exclusiveMinimum"))
    highs = st.sampled_from(("maximum", "exclusiveMaximum"))
    return st.tuples(_numbers, _numbers, lows, highs).map(bounds)


def _ranged(kind: str, least: str, most: str, limit: int) -> st.SearchStrategy[Schema]:
    sizes = st.tuples(st.integers(0, limit), st.integers(0, limit)).map(sorted)
    return sizes.map(lambda pair: {"type": kind, least: pair[0], most: pair[1]})


_enums = st.one_of(
    st.lists(_values, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    st.just({"$ref": "#/$defs/colour"}),
    st.just({"$ref": "#/$defs/colour", "description": "its colour"}),
)
_between = st.one_of(_bounded("integer"), _bounded("number"))
_strings = st.one_of(
    _ranged("string", "minLength", "maxLength", 6),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(FORMATS).map(lambda name: {"type": "string", "format": name}),
)
_others = st.one_of(
    st.sampled_from(("boolean", "null", "integer", "number")).map(lambda kind: {"type": kind}),
    st.just({"type": ["integer", "null"], "minimum": 3, "maximum": 10}),
    _values.map(lambda value: {"const": value}),
    st.just({"type": "integer", "minimum": -7, "maximum": 40, "multipleOf": 5}),
    st.just({"allOf": [{"$ref": "#/$defs/small"}, {"maximum": 7}]}),
)
# One of four kinds: what is mapped, Hypothesis does not melt into one long list.
_scalars = st.one_of(*(kind.map(dict) for kind in (_enums, _between, _strings, _others)))


def _objects(values: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    def schema(parts: tuple[Schema, list[bool]]) -> Schema:
        properties, required = parts
        names = [name for name, is_required in zip(properties, required, strict=False)]
        needed = [n for n, is_required in zip(names, required, strict=False) if is_required]
        return {"type": "object", "properties": properties, "required": needed}

    properties = st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=3)
    return st.tuples(properties, st.lists(st.booleans(), min_size=3, max_size=3)).map(schema)


def _tuple(items: list[Schema], least: int) -> Schema:
    return {"type": "array", "prefixItems": items, "minItems": min(least, len(items))}


def _arrays(values: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    plain = st.tuples(values, _ranged("array", "minItems", "maxItems", 3))
    tuples = st.tuples(st.lists(values, min_size=1, max_size=2), st.integers(0, 2))
    return st.one_of(
        plain.map(lambda pair: {**pair[1], "items": pair[0]}),
        tuples.map(
            lambda t: {"type": "array", "prefixItems": t[0], "minItems": min(t[1], len(t[0]))}
        ),
    )


def _nested(values: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    either = st.lists(values, min_size=1, max_size=2).map(lambda options: {"anyOf": options})
    return st.one_of(_objects(values), _arrays(values), either)


DEFINITIONS: Schema = {
    "colour": {"enum": ["red", "green"], "type": "string"},
    "small": {"type": "integer", "minimum": -2},
}

schemas: st.SearchStrategy[Schema] = _objects(st.recursive(_scalars, _nested, max_leaves=4)).map(
    lambda schema: {**schema, "$defs": DEFINITIONS}
)


def features(schema: Any, *, is_root: bool = True) -> Iterator[str]:
    """Which of FEATURES are in it."""
    if not isinstance(schema, dict):
        return
    if "properties" in schema:
        yield from () if is_root else ("nested object",)
        if len(schema["required"]) < len(schema["properties"]):
            yield "optional key"
    if schema.get("type") == "array":
        yield "array"
    if "enum" in schema or schema.get("$ref") == "#/$defs/colour":
        yield "enum"
    if schema.get("type") in ("integer", "number") and "multipleOf" not in schema:
        yield from ("bounded number",) if len(schema) > 2 else ()
    parts = [*schema.get("properties", {}).values(), schema.get("items")]
    for part in [*parts, *schema.get("prefixItems", []), *schema.get("anyOf", [])]:
        yield from features(part, is_root=False)
