"""Random texts that fit a grammar's expressions, and expressions as Python's regexes."""

from __future__ import annotations

import random
import re

from bot.inference.grammar.expressions import (
    ROOT,
    Alt,
    Chars,
    Expr,
    Ref,
    Repeat,
    Rules,
    Seq,
    Text,
)


def as_regex(expr: Expr) -> str:
    """For expressions without references."""
    match expr:
        case Text(text):
            return re.escape(text)
        case Chars(ranges):
            return "[" + "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in ranges) + "]"
        case Seq(parts):
            return "".join(as_regex(part) for part in parts)
        case Alt(options):
            return "(?:" + "|".join(as_regex(option) for option in options) + ")"
        case Repeat(item, least, most):
            return f"(?:{as_regex(item)}){{{least},{'' if most is None else most}}}"
    raise AssertionError(f"{expr} is a reference")


class Writer:
    """Writes a text that fits the rules; unbounded parts are kept short."""

    def __init__(self, rules: Rules, seed: int) -> None:
        self._rules = rules
        self._chance = random.Random(seed)  # noqa: S311 - nothing is kept secret
        self._depth = 0

    def write(self) -> str:
        return self._write(Ref(ROOT))

    def _write(self, expr: Expr) -> str:
        match expr:
            case Text(text):
                return text
            case Chars(ranges):
                return self._character(ranges)
            case Ref(name):
                return self._rule(name)
            case Seq(parts):
                return "".join(self._write(part) for part in parts)
            case Alt(options):
                return self._write(self._option(options))
            case Repeat(item, least, most):
                longest = least + 2 if most is None or self._depth > 40 else most
                times = self._chance.randint(least, max(least, min(longest, least + 4)))
                return "".join(self._write(item) for _ in range(times))

    def _rule(self, name: str) -> str:
        self._depth += 1
        text = self._write(self._rules[name])
        self._depth -= 1
        return text

    def _option(self, options: tuple[Expr, ...]) -> Expr:
        """At great depth the last option, which ends soonest in the rules of JSON."""
        return options[-1] if self._depth > 40 else self._chance.choice(options)

    def _character(self, ranges: tuple[tuple[int, int], ...]) -> str:
        first, last = self._chance.choice(ranges)
        return chr(self._chance.randint(first, min(last, first + 300)))
