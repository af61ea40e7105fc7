"""``not``, where it leaves whole types or listed values."""

from __future__ import annotations

from bot.errors import UnsupportedFormat
from bot.inference.grammar.keywords import OF_TYPE, Demands, assertions, types
from bot.inference.grammar.options import written


def without_not(demands: Demands, where: str) -> Demands | bool:
    """The same without ``not``; False where nothing is left. Raises UnsupportedFormat."""
    if "not" not in demands:
        return demands
    rest = {key: value for key, value in demands.items() if key != "not"}
    given = demands["not"]
    if isinstance(given, bool):
        return rest if not given else False
    match assertions(given, f"{where}/not"):
        case {"type": _, **others} as taken if not others:
            return _of_other_types(rest, set(types(taken)), where)
        case {"enum": values, **others} if others.keys() <= {"type"} and isinstance(values, list):
            return _with_other_values(rest, values, where)
        case {"const": value, **others} if others.keys() <= {"type"}:
            return _with_other_values(rest, [value], where)
        case taken if not taken:
            return False
    raise _refused(where)


def _of_other_types(rest: Demands, taken: set[str], where: str) -> Demands | bool:
    if {"enum", "const"} & rest.keys():
        raise _refused(where)
    kinds = types(rest) or list(OF_TYPE)
    if "integer" in taken and "number" in kinds and "number" not in taken:
        raise _refused(where)
    if "number" in taken:
        taken = {*taken, "integer"}
    left = [kind for kind in kinds if kind not in taken]
    return {**rest, "type": left} if left else False


def _with_other_values(rest: Demands, taken: list[object], where: str) -> Demands | bool:
    if "enum" not in rest:
        raise _refused(where)
    gone = set(map(written, taken))
    left = [value for value in rest["enum"] if written(value) not in gone]
    return {**rest, "enum": left} if left else False


def _refused(where: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"not at {where} of the answer format is followed for types, and for values of an enum "
        "beside it, only; please leave it out."
    )
