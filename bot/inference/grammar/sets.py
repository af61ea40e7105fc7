"""Arrays without equal items, where so few are possible that they can be listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from math import comb, perm

from bot.errors import UnsupportedFormat
from bot.inference.grammar.keywords import Demands, assertions, types
from bot.inference.grammar.options import written

_MAX_LISTED = 1_000


def without_equals(demands: Demands, follow: Callable[[object], object], where: str) -> Demands:
    """``uniqueItems`` as an enum of all arrays; raises UnsupportedFormat if they are too many.

    ``follow`` returns the schema that the items refer to.
    """
    if not demands.get("uniqueItems") or demands.get("maxItems", 2) <= 1:
        return demands
    values = _values(follow(demands.get("items")), where)
    sizes = range(demands.get("minItems", 0), min(len(values), demands.get("maxItems", 99)) + 1)
    others = demands.keys() - {"items", "maxItems", "minItems", "type", "uniqueItems"}
    if not values or others or types(demands) != ["array"]:
        raise _refused(where)
    return {"enum": [list(each) for each in _arrays(values, sizes, where)]}


def _values(schema: object, where: str) -> list[object]:
    """The values of an enum, each once; none if the items are no enum."""
    demands = assertions(schema, where) if isinstance(schema, dict) else {}
    if types(demands) == ["boolean"] and demands.keys() == {"type"}:
        return [True, False]
    if demands.keys() - {"enum", "type"} or types(demands) not in ([], ["string"], ["integer"]):
        return []
    return list({written(value): value for value in demands.get("enum", [])}.values())


def _arrays(values: list[object], sizes: range, where: str) -> Iterator[tuple[object, ...]]:
    """In every order, or else in that of the enum."""
    for count, choose in ((perm, permutations), (comb, combinations)):
        if sum(count(len(values), size) for size in sizes) <= _MAX_LISTED:
            return (each for size in sizes for each in choose(values, size))
    raise _refused(where)


def _refused(where: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"uniqueItems at {where} of the answer format is followed for items of an enum with few "
        "values only; please leave it out."
    )
