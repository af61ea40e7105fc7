"""The expressions of a grammar, each for a set of texts. Data only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of inclusive ranges of code points."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Seq:
    """The parts in sequence; without parts, the empty text."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of the options; without options, no text fits."""

    options: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``item`` from ``least`` to ``most`` times; ``most`` None: unbounded."""

    item: Expr
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Ref:
    """The rule of this name."""

    name: str


Expr = Text | Chars | Seq | Alt | Repeat | Ref
Rules = dict[str, Expr]

ROOT = "root"
EMPTY = Seq(())
NOTHING = Alt(())


def seq(*parts: Expr | str) -> Expr:
    """The parts in sequence; if no text fits one of them, none fits all."""
    flat: list[Expr] = []
    for part in parts:
        known = Text(part) if isinstance(part, str) else part
        if known == NOTHING:
            return NOTHING
        flat += known.parts if isinstance(known, Seq) else [known]
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))


def alt(options: Iterable[Expr]) -> Expr:
    """One of the options, without duplicates."""
    distinct = tuple(dict.fromkeys(option for option in options if option != NOTHING))
    return distinct[0] if len(distinct) == 1 else Alt(distinct)


def repeat(item: Expr, least: int, most: int | None) -> Expr:
    if most is not None and most < least:
        return NOTHING
    if most == 0 or (item == NOTHING and least == 0):
        return EMPTY
    if item == NOTHING:
        return NOTHING
    return item if least == most == 1 else Repeat(item, least, most)


def optional(item: Expr) -> Expr:
    return repeat(item, 0, 1)


def children(expr: Expr) -> Iterator[Expr]:
    match expr:
        case Seq(parts):
            yield from parts
        case Alt(options):
            yield from options
        case Repeat(item):
            yield item
