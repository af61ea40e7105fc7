"""Options of ``oneOf`` that cannot hold at once, or do not once a key is required of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations

from bot.inference.grammar.keywords import Demands, assertions, types

Needed = str
"""A key that an option must require to differ from the others; empty: none."""


def needed_keys(
    options: list[object], follow: Callable[[object], object], where: str
) -> list[Needed] | None:
    """A key for each option, or None if two of them may hold at once.

    ``follow`` returns the schema that an option refers to.
    """
    shown = [follow(option) for option in options]
    known = [assertions(each, where) for each in shown if isinstance(each, dict)]
    if len(known) < len(options):  # one is true, and holds with every other
        return None if len(options) > 1 else [""]
    if all(_are_disjoint(one, other) for one, other in combinations(known, 2)):
        return [""] * len(options)
    for key in dict.fromkeys(key for each in known for key in each.get("properties", ())):
        if _tells_apart(key, known, follow):
            return [key] * len(options)
    return None


def _are_disjoint(one: Demands, other: Demands) -> bool:
    mine, theirs = _values(one), _values(other)
    if mine is not None and theirs is not None:
        return not mine & theirs
    kinds, others = _kinds(one), _kinds(other)
    return bool(kinds and others) and not kinds & others


def _values(demands: Demands) -> set[str] | None:
    if "const" in demands:
        return {written(demands["const"])}
    values = demands.get("enum")
    return None if values is None else set(map(written, values))


def written(value: object) -> str:
    """Equal for values that a validator takes for equal."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _kinds(demands: Demands) -> set[str]:
    named = types(demands) if "type" in demands else []
    return {"number" if name == "integer" else name for name in named}


def _tells_apart(key: str, known: list[Demands], follow: Callable[[object], object]) -> bool:
    """Whether every option is an object, and no two have a value of this key in common."""
    seen: set[str] = set()
    for demands in known:
        if types(demands) != ["object"]:
            return False
        shown = follow(demands.get("properties", {}).get(key))
        values = _values(shown) if isinstance(shown, dict) else None
        if values is None or seen & values:
            return False
        seen |= values
    return True
