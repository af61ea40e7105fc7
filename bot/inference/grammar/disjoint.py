"""Whether no value fits two schemas at once: what makes oneOf the same as anyOf."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

from bot.inference.grammar.keywords import literal, types

Demands = dict[str, Any]
Resolve = Callable[[object], Demands]


def all_disjoint(schemas: list[object], resolve: Resolve, where: str) -> bool:
    """``resolve`` gives what a schema demands, references followed."""
    demands = [resolve(schema) for schema in schemas]
    return all(_disjoint(one, other, resolve, where) for one, other in combinations(demands, 2))


def _disjoint(one: Demands, other: Demands, resolve: Resolve, where: str) -> bool:
    mine, theirs = _values(one), _values(other)
    if mine is not None and theirs is not None:
        return not mine & theirs
    kinds, others = _kinds(one, where), _kinds(other, where)
    if kinds and others and not kinds & others:
        return True
    return kinds == others == {"object"} and _told_apart(one, other, resolve)


def _values(demands: Demands) -> set[str] | None:
    if "const" in demands:
        return {literal(demands["const"])}
    values = demands.get("enum")
    return {literal(value) for value in values} if isinstance(values, list) else None


def _kinds(demands: Demands, where: str) -> set[str]:
    named = types(demands, where) if "type" in demands else ()
    return {"number" if name == "integer" else name for name in named}


def _told_apart(one: Demands, other: Demands, resolve: Resolve) -> bool:
    """A key that both require has no value in common."""
    for key in set(one.get("required", [])) & set(other.get("required", [])):
        pair = (one.get("properties", {}).get(key), other.get("properties", {}).get(key))
        if None in pair:
            continue
        mine, theirs = (_values(resolve(schema)) for schema in pair)
        if mine is not None and theirs is not None and not mine & theirs:
            return True
    return False
