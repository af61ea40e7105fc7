"""Merges two schemas that must both hold: for allOf, and for keywords beside $ref and anyOf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.errors import UnsupportedFormat
from bot.inference.grammar.keywords import literal

Demands = dict[str, Any]

_CONTENT = ("items", "prefixItems", "additionalItems")


def merge(one: Demands, other: Demands, where: str) -> Demands:
    """Raises UnsupportedFormat if no single schema is equivalent."""
    _check_closed(one, other, where)
    _check_items(one, other, where)
    merged = {**one, **other}
    for key in one.keys() & other.keys():
        merged[key] = _both(key, one[key], other[key], where)
    return {key: merged[key] for key in [*one, *(k for k in other if k not in one)]}


def _both(key: str, one: Any, other: Any, where: str) -> Any:
    if one == other:
        return one
    combine = _COMBINE.get(key)
    if combine is None:
        raise _differ(key, where)
    try:
        return combine(one, other)
    except (TypeError, ValueError, AttributeError):
        raise _differ(key, where) from None


def _differ(key: str, where: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"At {where} of the answer format two different values of {key!r} shall hold at once, "
        "which is not supported; please write them as one."
    )


def _check_closed(one: Demands, other: Demands, where: str) -> None:
    """A part that closes its object forbids keys that only the other part names."""
    for part, rest in ((one, other), (other, one)):
        closed = part.get("additionalProperties", True) is not True
        if closed and rest.get("properties", {}).keys() - part.get("properties", {}).keys():
            raise _differ("additionalProperties", where)


def _check_items(one: Demands, other: Demands, where: str) -> None:
    mine, theirs = ([part.get(key) for key in _CONTENT] for part in (one, other))
    lists = "prefixItems" in one or "prefixItems" in other or list in map(type, (*mine, *theirs))
    if lists and any(mine) and any(theirs) and mine != theirs:
        raise _differ("prefixItems", where)


def _types(one: Any, other: Any) -> list[str]:
    first, second = (value if isinstance(value, list) else [value] for value in (one, other))
    widened = {*second, *(["integer"] if "number" in second else [])}
    kept = [name for name in first if name in widened]
    if "number" in first and "integer" in second and "integer" not in kept:
        kept.append("integer")
    if not kept:
        raise ValueError
    return kept


def _properties(one: Demands, other: Demands) -> Demands:
    return {
        key: {"allOf": [one[key], other[key]]} if key in one and key in other else value
        for key, value in {**one, **other}.items()
    }


def _all_of(one: Any, other: Any) -> Demands:
    return {"allOf": [one, other]}


_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "additionalProperties": lambda a, b: a is not False and b is not False and _all_of(a, b),
    "enum": lambda a, b: [value for value in a if literal(value) in map(literal, b)],
    "items": _all_of,
    "properties": _properties,
    "required": lambda a, b: [*a, *(name for name in b if name not in a)],
    "type": _types,
    **dict.fromkeys(("minimum", "minItems", "minLength", "minProperties"), max),
    **dict.fromkeys(("maximum", "maxItems", "maxLength", "maxProperties"), min),
    "exclusiveMinimum": max,
    "exclusiveMaximum": min,
}
