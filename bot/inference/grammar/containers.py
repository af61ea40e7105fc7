"""Objects and arrays in the usual layout of models, with bounded white space.

At most one line break with its indent is allowed between two elements, so that a model cannot
fill its answer with spaces. Keys come in the order of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.inference.grammar.expressions import (
    EMPTY,
    NOTHING,
    Alt,
    Chars,
    Expr,
    Ref,
    Rules,
    alt,
    optional,
    repeat,
    seq,
)
from bot.inference.grammar.keywords import literal

_MAX_SPACES, _MAX_TABS = 20, 6
LINE = Ref("line")
GAP = Ref("gap")
_SPACE, _TAB = Chars(((0x20, 0x20),)), Chars(((0x09, 0x09),))
_BREAK = seq("\n", Alt((repeat(_SPACE, 1, _MAX_SPACES), repeat(_TAB, 0, _MAX_TABS))))
LAYOUT: Rules = {
    "line": Alt((_BREAK, _SPACE, EMPTY)),
    "gap": optional(_SPACE),
}
_NEXT = seq(",", LINE)


Share = Callable[[Expr], Expr]


@dataclass(frozen=True, slots=True)
class Member:
    """A key of an object and the expression of its value."""

    key: str
    value: Expr
    is_required: bool

    @property
    def expr(self) -> Expr:
        return seq(literal(self.key), ":", GAP, self.value)


def dictionary(key: Expr, value: Expr, least: int, most: int | None) -> Expr:
    """An object with any keys, at least ``least`` (0 or 1) of them; keys may be repeated."""
    member = seq(key, ":", GAP, value)
    return _in_brackets("{", _items(member, least, most), "}", may_be_empty=not least)


def record(members: Sequence[Member], share: Share) -> Expr:
    """An object with these keys; ``share`` names expressions that two paths have in common.

    Whether a comma stands before a key depends on whether another key came before it: until
    the first required key there are two ways to reach each.
    """
    ways: list[Expr] = []
    later: Expr = EMPTY
    num_ways = next((n for n, member in enumerate(members, 1) if member.is_required), len(members))
    for number, member in reversed(list(enumerate(members, 1))):
        if number <= num_ways:
            later = share(later)
            ways.append(seq(member.expr, later))
        joined = seq(_NEXT, member.expr)
        later = seq(joined if member.is_required else optional(joined), later)
    may_be_empty = not any(member.is_required for member in members)
    return _in_brackets("{", alt(reversed(ways)), "}", may_be_empty=may_be_empty)


def array(first: Sequence[Expr], item: Expr, least: int, most: int | None, share: Share) -> Expr:
    """An array. ``first``: the first items, each with its own schema."""
    known = first if most is None else first[:most]
    rest = None if most is None else most - len(known)
    items = _items(item, max(0, least - len(known)), rest)
    for number in range(len(known), 0, -1):
        more = EMPTY if items == EMPTY else seq(_NEXT, items)
        items = seq(known[number - 1], share(more if number < least else optional(more)))
    return _in_brackets("[", items, "]", may_be_empty=not least)


def _items(item: Expr, least: int, most: int | None) -> Expr:
    if most == 0 or item == NOTHING:
        return NOTHING if least else EMPTY
    further = None if most is None else most - 1
    return seq(item, repeat(seq(_NEXT, item), max(0, least - 1), further))


def _in_brackets(opening: str, content: Expr, closing: str, *, may_be_empty: bool) -> Expr:
    filled = NOTHING if content == EMPTY else seq(content, LINE)
    return seq(opening, LINE, optional(filled) if may_be_empty else filled, closing)
