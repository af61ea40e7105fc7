"""Leaves out of a schema what no finite answer fits: a part that always contains itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.inference.grammar.keywords import types

Part = dict[str, Any] | bool
_Ends = Callable[[Part], bool]
DEFINITIONS = "#/$defs/"


def ending(definitions: Mapping[str, Part]) -> dict[str, Part]:
    """The definitions that some finite value fits, each without its endless parts."""
    known: set[str] = set()

    def ends(part: Part) -> bool:
        return _ends(part, known)

    num_known = -1
    while num_known < len(known):
        num_known = len(known)
        known |= {name for name, part in definitions.items() if ends(part)}
    return {name: _pruned(part, ends) for name, part in definitions.items() if name in known}


def _ends(part: Part, known: set[str]) -> bool:
    if isinstance(part, bool):
        return part
    if "$ref" in part and part["$ref"].removeprefix(DEFINITIONS) not in known:
        return False
    if not all(_ends(each, known) for each in part.get("allOf", ())):
        return False
    for key in ("anyOf", "oneOf"):
        if key in part and not any(_ends(each, known) for each in part[key]):
            return False
    if "enum" in part or "const" in part:
        return part.get("enum") != []
    kinds = types(part)
    return not kinds or any(_kind_ends(kind, part, lambda p: _ends(p, known)) for kind in kinds)


def _kind_ends(kind: str, part: dict[str, Any], ends: _Ends) -> bool:
    if kind == "object":
        properties, others = part.get("properties", {}), part.get("additionalProperties", True)
        return all(ends(properties.get(key, others)) for key in part.get("required", ()))
    if kind == "array":
        first, least = part.get("prefixItems", []), part.get("minItems", 0)
        needed = [*first[:least], *([part.get("items", True)] if least > len(first) else [])]
        return all(map(ends, needed))
    return True


def _pruned(part: Part, ends: _Ends) -> Part:
    """A part that ends, without options, types and contents that do not."""
    if isinstance(part, bool):
        return part

    def within(each: Part) -> Part:
        return _pruned(each, ends) if ends(each) else False

    kept: dict[str, Any] = {}
    for key, value in part.items():
        match key:
            case "anyOf" | "oneOf":
                kept[key] = [_pruned(each, ends) for each in value if ends(each)]
            case "allOf":
                kept[key] = [_pruned(each, ends) for each in value]
            case "properties" | "patternProperties":
                kept[key] = {name: within(each) for name, each in value.items()}
            case "additionalProperties" | "items":
                kept[key] = within(value)
            case "prefixItems":
                kept[key] = [within(each) for each in value]
            case "type":
                kept[key] = [kind for kind in types(part) if _kind_ends(kind, part, ends)]
            case _:
                kept[key] = value
    return kept
