"""Checks that llama.cpp can follow rules: they end, are small, and have no left recursion.

llama.cpp would loop or abort on the rules that are refused here. Its own search for left
recursion takes exponential time, so its work is counted first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter

from bot.errors import UnsupportedFormat
from bot.inference.grammar.expressions import (
    NOTHING,
    ROOT,
    Alt,
    Chars,
    Expr,
    Ref,
    Repeat,
    Rules,
    Seq,
    Text,
    alt,
    children,
    repeat,
    seq,
)

_MAX_RULES = 1_000
_MAX_SIZE = 50_000
_MAX_BEGINNINGS = 20_000
_TOO_LARGE = "The answer format is too large; please ask for fewer or shorter parts."
_ENDLESS = (
    "No finite answer fits the answer format: it is endlessly recursive or contradicts itself."
)
_BEGINS_WITH_ITSELF = (
    "The answer format is endlessly recursive: one of its references leads to itself at once."
)


def checked(rules: Rules) -> Rules:
    """The rules that can be reached, with the options that can end; raises UnsupportedFormat."""
    if len(rules) > _MAX_RULES or sum(map(_size, rules.values())) > _MAX_SIZE:
        raise UnsupportedFormat(_TOO_LARGE)
    ending = _closure(rules, _ends)
    if ROOT not in ending:
        raise UnsupportedFormat(_ENDLESS)
    pruned = {name: _pruned(rules[name], ending) for name in rules if name in ending}
    used = _used(pruned)
    _check_beginnings(used)
    return used


def _size(expr: Expr) -> int:
    """The number of elements that llama.cpp makes of the expression."""
    match expr:
        case Text(text):
            return len(text)
        case Chars(ranges):
            return len(ranges)
        case Repeat(item, least, most):
            return (most or least + 1) * _size(item)
    return 1 + sum(_size(child) for child in children(expr))


def _closure(rules: Rules, holds: Callable[[Expr, set[str]], bool]) -> set[str]:
    """The smallest set of names for which ``holds(rule, set)`` is true."""
    users: dict[str, set[str]] = {name: set() for name in rules}
    for name, expr in rules.items():
        for used in _refs(expr):
            users[used].add(name)
    found: set[str] = set()
    pending = list(rules)
    while pending:
        name = pending.pop()
        if name not in found and holds(rules[name], found):
            found.add(name)
            pending += users[name]
    return found


def _ends(expr: Expr, ending: set[str]) -> bool:
    match expr:
        case Ref(name):
            return name in ending
        case Alt(options):
            return any(_ends(option, ending) for option in options)
        case Repeat(item, least):
            return least == 0 or _ends(item, ending)
    return all(_ends(child, ending) for child in children(expr))


def _pruned(expr: Expr, ending: set[str]) -> Expr:
    match expr:
        case Ref(name):
            return expr if name in ending else NOTHING
        case Seq(parts):
            return seq(*(_pruned(part, ending) for part in parts))
        case Alt(options):
            return alt(_pruned(option, ending) for option in options)
        case Repeat(item, least, most):
            return repeat(_pruned(item, ending), least, most)
    return expr


def _refs(expr: Expr) -> Iterator[str]:
    if isinstance(expr, Ref):
        yield expr.name
    for child in children(expr):
        yield from _refs(child)


def _used(rules: Rules) -> Rules:
    used, pending = {ROOT}, [ROOT]
    while pending:
        found = set(_refs(rules[pending.pop()])) - used
        used |= found
        pending += found
    return {name: rules[name] for name in rules if name in used}


def _check_beginnings(rules: Rules) -> None:
    empty = _closure(rules, _is_nullable)
    beginnings = {name: list(_beginnings(expr, empty)) for name, expr in rules.items()}
    num_ways: dict[str, int] = {}
    for name in _inner_first(beginnings):
        num_ways[name] = 1 + sum(num_ways[first] for first in beginnings[name])
        if num_ways[name] > _MAX_BEGINNINGS:
            raise UnsupportedFormat(_TOO_LARGE)


def _inner_first(beginnings: dict[str, list[str]]) -> Iterator[str]:
    try:
        yield from TopologicalSorter(beginnings).static_order()
    except CycleError:
        raise UnsupportedFormat(_BEGINS_WITH_ITSELF) from None


def _is_nullable(expr: Expr, empty: set[str]) -> bool:
    match expr:
        case Ref(name):
            return name in empty
        case Text(text):
            return not text
        case Chars():
            return False
        case Alt(options):
            return any(_is_nullable(option, empty) for option in options)
        case Repeat(item, least):
            return least == 0 or _is_nullable(item, empty)
    return all(_is_nullable(child, empty) for child in children(expr))


def _beginnings(expr: Expr, empty: set[str]) -> Iterator[str]:
    """Names of the rules that may come first, once for each path to them."""
    match expr:
        case Ref(name):
            yield name
        case Seq(parts):
            for part in parts:
                yield from _beginnings(part, empty)
                if not _is_nullable(part, empty):
                    return
        case Alt(options):
            for option in options:
                yield from _beginnings(option, empty)
        case Repeat(item, _, most):
            times = (most or 1) if _is_nullable(item, empty) else 1
            for _ in range(times):
                yield from _beginnings(item, empty)
