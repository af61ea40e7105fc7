"""``dependentRequired``: an object with the key and all that it needs, or without the key."""

from __future__ import annotations

from bot.errors import UnsupportedFormat
from bot.inference.grammar.keywords import JOINING, Demands

_MAX_KEYS = 5
"""Each may double the number of options."""


def options(demands: Demands, where: str) -> list[Demands]:
    """Schemas without ``dependentRequired`` of which exactly one holds; UnsupportedFormat."""
    rest = {key: value for key, value in demands.items() if key != "dependentRequired"}
    needs = demands.get("dependentRequired", {})
    if not needs:
        return [rest]
    if len(needs) > _MAX_KEYS or JOINING & rest.keys() or not all(map(_are_keys, needs.values())):
        raise UnsupportedFormat(
            f"dependentRequired at {where} of the answer format is followed for lists of keys, up "
            f"to {_MAX_KEYS} of them, and not beside $ref, allOf, anyOf or oneOf."
        )
    found = [rest]
    for key, needed in needs.items():
        found = [option for each in found for option in _with_and_without(each, key, needed)]
    return found


def _are_keys(needed: object) -> bool:
    return isinstance(needed, list) and all(isinstance(each, str) for each in needed)


def _with_and_without(demands: Demands, key: str, needed: list[str]) -> list[Demands]:
    required, properties = demands.get("required", []), demands.get("properties", {})
    found = []
    if properties.get(key) is not False:
        found.append({**demands, "required": list(dict.fromkeys([*required, key, *needed]))})
    if key not in required:
        found.append({**demands, "properties": {**properties, key: False}})
    return found
