"""Prepares a JSON schema for llguidance, so that every answer under it is one that was meant.

What llguidance would leave open is decided here: keys that are not in ``properties`` and items
behind ``prefixItems`` are written only if required or described by the schema; a schema with
keywords of one type means that type; a number with a bound has a bounded number of decimals;
patterns and formats mean what all validators agree on.
What no grammar can follow is refused in a sentence that names the keyword and its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from bot.errors import UnsupportedFormat
from bot.inference.grammar import dependencies, pattern
from bot.inference.grammar.decimals import apart_from_zero, coarser, in_decimals
from bot.inference.grammar.endings import DEFINITIONS, Part, ending
from bot.inference.grammar.keywords import JOINING, MAX_BOUND, Demands, assertions, types
from bot.inference.grammar.negation import without_not
from bot.inference.grammar.options import Needed, needed_keys
from bot.inference.grammar.sets import without_equals
from bot.inference.grammar.strings import DESCRIBING, FORMATS, IMPLIED, IPV6

_MAX_DEPTH = 48
_MAX_SCHEMAS = 5_000
_MAX_KEYS = 1_000
_LARGEST = {"minimum": -MAX_BOUND, "maximum": MAX_BOUND}
"""Bounds of an integer without any, so that no answer is an endless number."""
_ROOT = "root"
_TOO_LARGE = "The answer format's schema is too large; please ask for fewer or shorter parts."
_ENDLESS = (
    "No finite answer fits the answer format: it is endlessly recursive or contradicts itself."
)


def prepared(schema: object) -> Demands:
    """Raises UnsupportedFormat."""
    definitions = ending(_Reader(schema).read())
    if _ROOT not in definitions:
        raise UnsupportedFormat(_ENDLESS)
    return {"$ref": DEFINITIONS + _ROOT, "$defs": definitions}


class _Reader:
    """Reads one document. A schema ``is_whole`` if no other one holds for the same value."""

    def __init__(self, document: object) -> None:
        self._document = document
        self._names: dict[tuple[str, bool, str], str] = {}
        self._depth = 0
        self._num_schemas = 0

    def read(self) -> dict[str, Part]:
        """A definition for the document, and one for each use of a reference."""
        definitions = {_ROOT: self._schema(self._document, "#", is_whole=True)}
        while len(definitions) <= len(self._names):
            for (pointer, is_whole, key), name in list(self._names.items()):
                if name not in definitions:
                    target = _requiring(self._target(pointer, pointer), key)
                    definitions[name] = self._schema(target, pointer, is_whole=is_whole)
        return definitions

    def _schema(self, schema: object, where: str, *, is_whole: bool) -> Part:
        if isinstance(schema, bool):
            return schema
        self._depth += 1
        self._num_schemas += 1
        if self._depth > _MAX_DEPTH or self._num_schemas > _MAX_SCHEMAS:
            raise UnsupportedFormat(_TOO_LARGE)
        read = self._asserted(assertions(schema, where), where, is_whole=is_whole)
        self._depth -= 1
        return read

    def _asserted(self, given: Demands, where: str, *, is_whole: bool) -> Part:
        demands = without_not(given, where)
        if isinstance(demands, bool):
            return demands
        options = dependencies.options(demands, where)
        read = [self._demanded(option, where, is_whole=is_whole) for option in options]
        return read[0] if len(read) == 1 else {"anyOf": read}

    def _demanded(self, demands: Demands, where: str, *, is_whole: bool) -> Demands:
        is_alone = is_whole and len(demands) == 1
        joins = bool(JOINING & demands.keys())
        demands = in_decimals(apart_from_zero(_named_keys(demands, where)))
        _check_object(demands, where)
        demands = without_equals(demands, lambda items: self._followed(items, where), where)
        if is_whole and not joins:
            demands = _closed(demands)
        read: Demands = {}
        if "enum" not in demands and "const" not in demands and (kinds := types(demands)):
            read["type"] = kinds
            if "integer" in kinds:
                demands = {**_LARGEST, **demands}
        for key, value in demands.items():
            match key:
                case "$ref":
                    read[key] = self._reference(value, where, is_whole=is_alone)
                case "oneOf":
                    options = self._one_of(value, where, is_whole=is_alone)
                    if "anyOf" in demands:
                        options = {"allOf": [*read.get("allOf", ()), options]}
                    read.update(options)
                case "anyOf" | "allOf":
                    whole = is_alone and (key == "anyOf" or len(value) == 1)
                    read[key] = [
                        *read.get(key, ()),
                        *(
                            self._schema(option, f"{where}/{key}/{n}", is_whole=whole)
                            for n, option in enumerate(value)
                        ),
                    ]
                case "pattern" | "format" | "uniqueItems":
                    pass
                case _:
                    read[key] = self._content(key, value, where)
        read = _with_patterns(read, demands, where)
        others = coarser(demands) if is_whole and not joins else []
        return {"anyOf": [read, *others]} if others else read

    def _content(self, key: str, value: Any, where: str) -> object:
        """The value of a keyword, with the schemas in it read."""
        at = f"{where}/{key}"
        match key:
            case "properties":
                return {k: self._schema(v, f"{at}/{k}", is_whole=True) for k, v in value.items()}
            case "patternProperties":
                return {
                    pattern.read(k): self._schema(v, f"{at}/{k}", is_whole=True)
                    for k, v in value.items()
                }
            case "additionalProperties" | "items":
                return self._schema(value, at, is_whole=True)
            case "prefixItems":
                return [self._schema(v, f"{at}/{n}", is_whole=True) for n, v in enumerate(value)]
        return value

    def _one_of(self, options: list[object], where: str, *, is_whole: bool) -> Demands:
        """As ``anyOf`` if no two options hold at once, which may take a key in each of them."""
        options = [option for option in options if option is not False]
        needed = needed_keys(options, lambda option: self._followed(option, where), where)
        if needed is None:
            options_at = f"{where}/oneOf"
            return {
                "oneOf": [
                    self._schema(option, f"{options_at}/{n}", is_whole=False)
                    for n, option in enumerate(options)
                ]
            }
        return {
            "anyOf": [
                self._option(option, key, f"{where}/oneOf/{n}", is_whole=is_whole)
                for n, (option, key) in enumerate(zip(options, needed, strict=True))
            ]
        }

    def _option(self, option: object, key: Needed, where: str, *, is_whole: bool) -> Part:
        if key and isinstance(option, Mapping) and "$ref" in option:
            return {"$ref": self._reference(option["$ref"], where, is_whole=is_whole, key=key)}
        return self._schema(_requiring(option, key), where, is_whole=is_whole)

    def _followed(self, option: object, where: str) -> object:
        """The schema that the option refers to, if it does nothing else."""
        if isinstance(option, Mapping) and isinstance(option.get("$ref"), str):
            demands = assertions(option, where)
            return self._target(option["$ref"], where) if len(demands) == 1 else None
        return option

    def _reference(self, pointer: str, where: str, *, is_whole: bool, key: str = "") -> str:
        self._target(pointer, where)
        use = pointer, is_whole, key
        return DEFINITIONS + self._names.setdefault(use, f"r{len(self._names)}")

    def _anchored(self, name: str, pointer: str, where: str) -> object:
        if name not in self._anchors:
            raise _leads_nowhere(pointer, where)
        return self._anchors[name]

    @cached_property
    def _anchors(self) -> dict[str, object]:
        return dict(_anchors(self._document))

    def _target(self, pointer: str, where: str) -> object:
        """The schema that ``$ref`` refers to, in this document only."""
        found: Any = self._document
        if pointer.startswith("#") and (name := pointer[1:]) and not name.startswith("/"):
            return self._anchored(name, pointer, where)
        if not (pointer == "#" or pointer.startswith("#/")):
            raise _leads_nowhere(pointer, where)
        for step in pointer.split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                raise _leads_nowhere(pointer, where)
        return found


def _anchors(schema: object, *, is_root: bool = True) -> Iterator[tuple[str, object]]:
    """The parts that have a name of their own; those of another document have none here."""
    if isinstance(schema, list):
        for each in schema:
            yield from _anchors(each, is_root=False)
    if not isinstance(schema, Mapping) or ("$id" in schema and not is_root):
        return
    if isinstance(name := schema.get("$anchor"), str):
        yield name, schema
    for key, value in schema.items():
        if key not in ("const", "default", "enum", "examples"):
            yield from _anchors(value, is_root=False)


def _requiring(schema: object, key: str) -> object:
    if not key or not isinstance(schema, Mapping) or key in schema.get("required", ()):
        return schema
    return {**schema, "required": [*schema.get("required", ()), key]}


def _leads_nowhere(pointer: str, where: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"$ref {pointer[:80]!r} at {where} of the answer format names no part of its schema."
    )


def _named_keys(demands: Demands, where: str) -> Demands:
    """``propertyNames`` as what it means for ``properties`` and ``patternProperties``."""
    if "propertyNames" not in demands:
        return demands
    rest = {key: value for key, value in demands.items() if key != "propertyNames"}
    given = demands["propertyNames"]
    names = {} if given is True else assertions(given, where) if given else {"enum": []}
    limits = names.keys() - {"type"}
    if not limits and "string" in types({"type": "string", **names}):
        return rest
    keys = _keys_of(names, rest.get("additionalProperties", True))
    if keys is None or {"properties", "patternProperties"} & rest.keys():
        raise UnsupportedFormat(
            f"propertyNames at {where} of the answer format is not supported with these demands; "
            "please use properties or patternProperties."
        )
    return {**rest, **keys, "additionalProperties": False}


def _keys_of(names: Demands, value: object) -> Demands | None:
    """Keys that fit these demands, each with that value; None if no grammar lists them."""
    match names:
        case {"enum": keys, **rest} if rest.keys() <= {"type"}:
            return {"properties": {key: value for key in keys if isinstance(key, str)}}
        case {"const": str(key), **rest} if rest.keys() <= {"type"}:
            return {"properties": {key: value}}
        case {"pattern": expression, **rest} if rest.keys() <= {"type"}:
            return {"patternProperties": {expression: value}}
        case {"format": name, **rest} if rest.keys() <= {"type"} and name in FORMATS:
            return {"patternProperties": {f"^({FORMATS[name]})$": value}}
    return None


def _check_object(demands: Demands, where: str) -> None:
    num_keys = len({*demands.get("properties", ()), *demands.get("required", ())})
    if num_keys > _MAX_KEYS:
        raise UnsupportedFormat(_TOO_LARGE)
    least = demands.get("minProperties", 0)
    if least > max(1, len(demands.get("required", ()))) and not _may_close(demands):
        raise UnsupportedFormat(
            f"minProperties above 1 at {where} is not supported; please use required."
        )


def _may_close(demands: Demands) -> bool:
    """Whether the schema names keys, enough of them, and says nothing of others."""
    named = {*demands.get("properties", ()), *demands.get("required", ())}
    if "additionalProperties" in demands or not (named or demands.get("patternProperties")):
        return False
    least: int = demands.get("minProperties", 0)
    return least <= len(named)


def _closed(demands: Demands) -> Demands:
    """Without keys and items of which the schema says nothing."""
    if "prefixItems" in demands and demands.get("minItems", 0) <= len(demands["prefixItems"]):
        demands = {"items": False, **demands}
    if not _may_close(demands):
        return demands
    properties = demands.get("properties", {})
    missing = {key: True for key in demands.get("required", ()) if key not in properties}
    closed = {**demands, "additionalProperties": False}
    if missing and "patternProperties" not in demands:
        closed["properties"] = {**properties, **missing}
    elif missing:
        return demands
    return closed


def _with_patterns(read: Demands, demands: Demands, where: str) -> Demands:
    """With ``pattern`` and ``format`` as expressions that must both match."""
    expressions = []
    if "format" in demands and (known := _of_format(demands["format"], where)):
        if known == IPV6:
            read["format"] = IPV6
        else:
            expressions.append(known)
    if "pattern" in demands:
        given = demands["pattern"]
        implied = IMPLIED.get(given)
        if implied is None:
            expressions.append(pattern.read(given))
        elif demands.get("format") != implied:
            expressions.append(pattern.read(FORMATS[implied], is_anchored=True))
    if expressions:
        read["pattern"] = expressions[0]
    if len(expressions) > 1:
        read["allOf"] = [*read.get("allOf", ()), {"pattern": expressions[1]}]
    return read


def _of_format(name: str, where: str) -> str:
    """The expression of a format, IPV6 for itself, empty for one that only describes."""
    if name in DESCRIBING:
        return ""
    if name == IPV6:
        return IPV6
    if name not in FORMATS:
        raise UnsupportedFormat(
            f"The format {name!r} at {where} of the answer format is not supported; "
            f"known are {', '.join(FORMATS)}, {IPV6}."
        )
    return pattern.read(FORMATS[name], is_anchored=True)
