"""Compiles a JSON schema to rules; every text that fits the rules is valid under the schema.

To keep the grammar small, some valid texts do not fit, but no invalid text does: keys come in
the schema's order, and keys that are not in ``properties`` are written only if required.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import combinations
from typing import Any
from urllib.parse import unquote

from bot.errors import UnsupportedFormat
from bot.inference.grammar import numbers, values
from bot.inference.grammar.containers import Member, array, dictionary, record
from bot.inference.grammar.expressions import (
    EMPTY,
    NOTHING,
    ROOT,
    Chars,
    Expr,
    Ref,
    Rules,
    Text,
    alt,
)
from bot.inference.grammar.keywords import Schema, assertions, count, literal, types
from bot.inference.grammar.merge import merge

_MAX_DEPTH = 48
_MAX_SCHEMAS = 5_000
_TOO_LARGE = "The answer format's schema is too large; please ask for fewer or shorter parts."


def rules_of(schema: object) -> Rules:
    """Raises UnsupportedFormat."""
    return _Reader(schema).rules()


class _Reader:
    def __init__(self, document: object) -> None:
        self._document = document
        self._rules: Rules = dict(values.JSON)
        self._names: dict[Expr, str] = {}
        self._targets: dict[str, str] = {}
        self._pending: list[str] = []
        self._depth = 0
        self._num_schemas = 0

    def rules(self) -> Rules:
        root = self._expr(self._document, "#")
        while self._pending:
            pointer = self._pending.pop()
            name = self._targets[pointer]
            self._rules[name] = self._expr(self._target(pointer, pointer), pointer)
        return {ROOT: root, **self._rules}

    def _expr(self, schema: object, where: str) -> Expr:
        """The expression of a schema, as a named rule unless it is short."""
        if schema is False:
            return NOTHING
        self._enter()
        expr = self._demanded(assertions(schema, where), where)
        self._depth -= 1
        return self._share(expr)

    def _enter(self) -> None:
        self._depth += 1
        self._num_schemas += 1
        if self._depth > _MAX_DEPTH or self._num_schemas > _MAX_SCHEMAS:
            raise UnsupportedFormat(_TOO_LARGE)

    def _share(self, expr: Expr) -> Expr:
        if isinstance(expr, Ref | Text | Chars) or expr in (EMPTY, NOTHING):
            return expr
        name = self._names.setdefault(expr, f"r{len(self._names)}")
        self._rules[name] = expr
        return Ref(name)

    def _demanded(self, schema: dict[str, Any], where: str) -> Expr:
        if schema.keys() == {"$ref"}:
            return self._reference(schema["$ref"], where)
        schema = self._resolved(schema, where)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._one_of(key, schema, where)
        if "const" in schema or "enum" in schema:
            return _listed(schema, where)
        kinds = types(schema, where)
        if not kinds:
            return values.VALUE
        return alt(self._of_type(kind, schema, where) for kind in kinds)

    def _reference(self, pointer: object, where: str) -> Expr:
        self._target(pointer, where)
        name = str(pointer)
        if name not in self._targets:
            self._targets[name] = f"ref{len(self._targets)}"
            self._pending.append(name)
        return Ref(self._targets[name])

    def _target(self, pointer: object, where: str) -> object:
        """The schema that ``$ref`` refers to, in this document only."""
        found: Any = self._document
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
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

    def _resolved(self, schema: dict[str, Any], where: str) -> dict[str, Any]:
        """The schema with ``$ref`` and ``allOf`` merged in."""
        self._enter()
        others = [self._target(schema["$ref"], where)] if "$ref" in schema else []
        if "allOf" in schema:
            others += _schemas(schema["allOf"], "allOf", where)
        resolved = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        for other in others:
            resolved = merge(resolved, self._resolved(assertions(other, where), where), where)
        self._depth -= 1
        return resolved

    def _one_of(self, key: str, schema: dict[str, Any], where: str) -> Expr:
        options = [option for option in _schemas(schema[key], key, where) if option is not False]
        if key == "oneOf" and not self._are_disjoint(options, where):
            raise UnsupportedFormat(
                f"oneOf at {where} of the answer format has options that may hold at once; "
                "please use anyOf."
            )
        beside = {name: value for name, value in schema.items() if name != key}
        return alt(
            self._expr({"allOf": [beside, option]} if beside else option, f"{where}/{key}/{n}")
            for n, option in enumerate(options)
        )

    def _are_disjoint(self, options: list[object], where: str) -> bool:
        def resolve(schema: object) -> dict[str, Any]:
            return self._resolved(assertions(schema, where), where)

        return all_disjoint(options, resolve, where)

    def _of_type(self, kind: str, schema: dict[str, Any], where: str) -> Expr:
        match kind:
            case "object":
                return self._object(schema, where)
            case "array":
                return self._array(schema, where)
            case "string":
                return values.string(schema, where)
            case "integer":
                return numbers.integer(_bounds(schema))
            case "number":
                return numbers.number(_bounds(schema))
            case "boolean":
                return values.BOOLEAN
        return values.NULL

    def _object(self, schema: dict[str, Any], where: str) -> Expr:
        properties, required = _keys(schema, where)
        least = count(schema, "minProperties", 0, where) or 0
        most = count(schema, "maxProperties", None, where)
        additional = schema.get("additionalProperties", True)
        keys = dict.fromkeys([*properties, *required])
        if not keys:
            return self._dictionary(additional, least, most, where)
        if least > len(required) or (most is not None and most < len(keys)):
            raise UnsupportedFormat(
                f"minProperties or maxProperties at {where} of the answer format is not supported "
                "beside properties; please use required."
            )
        at = f"{where}/properties/"
        return record(
            [
                Member(key, self._expr(properties.get(key, additional), at + key), key in required)
                for key in keys
            ],
            self._share,
        )

    def _dictionary(self, additional: object, least: int, most: int | None, where: str) -> Expr:
        if least > 1:
            raise UnsupportedFormat(f"minProperties above 1 at {where} is not supported.")
        value = self._expr(additional, f"{where}/additionalProperties")
        return dictionary(values.STRING, value, least, most)

    def _array(self, schema: dict[str, Any], where: str) -> Expr:
        first, item = _items(schema)
        least = count(schema, "minItems", 0, where) or 0
        most = count(schema, "maxItems", None, where)
        values.check_least(least, where)
        if schema.get("uniqueItems") and (most is None or most > 1):
            raise UnsupportedFormat(
                f"uniqueItems at {where} of the answer format is not supported; please leave it "
                "out."
            )
        known = [self._expr(each, f"{where}/prefixItems/{n}") for n, each in enumerate(first)]
        if first and item is None:
            item = len(first) < least
        further = self._expr(True if item is None else item, f"{where}/items")
        most = most if most is None else min(most, values.MAX_REPEAT)
        return array(known, further, least, most, self._share)


def _leads_nowhere(pointer: object, where: str) -> UnsupportedFormat:
    return UnsupportedFormat(
        f"$ref {str(pointer)[:80]!r} at {where} of the answer format names no part of its schema."
    )


def _schemas(listed: object, key: str, where: str) -> list[object]:
    if not isinstance(listed, list) or not listed:
        raise UnsupportedFormat(f"{key} at {where} of the answer format must be a list.")
    return listed


def _keys(schema: Schema, where: str) -> tuple[Schema, list[str]]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        raise UnsupportedFormat(
            f"At {where} of the answer format properties must be an object, and required a list."
        )
    return properties, [str(key) for key in required]


def _items(schema: Schema) -> tuple[list[object], object]:
    """The schemas of the first items, and that of all others (None: any)."""
    items = schema.get("items")
    if isinstance(items, list):
        return items, schema.get("additionalItems")
    return schema.get("prefixItems", []), items


def _bounds(schema: Schema) -> numbers.Bounds:
    low, excludes_low = _bound(schema, "minimum", "exclusiveMinimum", max)
    high, excludes_high = _bound(schema, "maximum", "exclusiveMaximum", min)
    multiple_of = numbers.bound(schema["multipleOf"]) if "multipleOf" in schema else None
    return numbers.Bounds(low, high, excludes_low, excludes_high, multiple_of)


def _bound(
    schema: Schema, inclusive: str, exclusive: str, stricter: Callable[[Decimal, Decimal], Decimal]
) -> tuple[Decimal | None, bool]:
    """The effective bound, and whether it is exclusive."""
    given = [numbers.bound(schema[key]) for key in (inclusive, exclusive) if key in schema]
    if not given:
        return None, False
    strictest = stricter(given[0], given[-1])
    return strictest, exclusive in schema and given[-1] == strictest


def _listed(schema: Schema, where: str) -> Expr:
    """The values of ``const`` and ``enum``."""
    others = schema.keys() - {"const", "enum", "type"}
    listed = schema.get("enum", [schema.get("const")])
    if others or not isinstance(listed, list):
        what = "must be a list" if not others else f"is not supported beside {min(others)!r}"
        raise UnsupportedFormat(f"enum at {where} of the answer format {what}.")
    allowed = {literal(value): value for value in listed}
    if "const" in schema:
        allowed = {text: v for text, v in allowed.items() if text == literal(schema["const"])}
    if "type" in schema:
        kinds = types(schema, where)
        allowed = {text: v for text, v in allowed.items() if any(_is(v, kind) for kind in kinds)}
    return alt(Text(text) for text in allowed)


def _is(value: object, kind: str) -> bool:
    match value:
        case bool():
            return kind == "boolean"
        case int():
            return kind in ("integer", "number")
        case float():
            return kind == "number" or (kind == "integer" and value.is_integer())
        case None:
            return kind == "null"
    return isinstance(value, {"string": str, "object": Mapping, "array": list}.get(kind, bool))


Demands = dict[str, Any]
Resolve = Callable[[object], Demands]


def all_disjoint(schemas: list[object], resolve: Resolve, where: str) -> bool:
    """``resolve`` returns a schema with its references followed."""
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
    """Whether a key that both require has no value in common."""
    for key in set(one.get("required", [])) & set(other.get("required", [])):
        pair = (one.get("properties", {}).get(key), other.get("properties", {}).get(key))
        if None in pair:
            continue
        mine, theirs = (_values(resolve(schema)) for schema in pair)
        if mine is not None and theirs is not None and not mine & theirs:
            return True
    return False
