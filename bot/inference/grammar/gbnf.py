"""Writes rules as GBNF, llama.cpp's notation.

It avoids two traps. A repeated group may contain few rules of its own, so repeated expressions
become named rules. A negated character class accepts bytes that are not UTF-8, so classes list
the characters that they accept.
"""

from __future__ import annotations

from bot.inference.grammar.expressions import Alt, Chars, Expr, Ref, Repeat, Rules, Seq, Text

_ESCAPED = frozenset('"\\[]-^')
_ASCII = range(0x20, 0x7F)


def render(rules: Rules) -> str:
    """All rules, one per line."""
    return _Renderer(rules).text()


def _char(code: int) -> str:
    if code in _ASCII and chr(code) not in _ESCAPED:
        return chr(code)
    return f"\\x{code:02X}" if code < 0x80 else f"\\U{code:08X}"


def _literal(text: str) -> str:
    return '"' + "".join(_char(ord(c)) for c in text) + '"'


def _class(chars: Chars) -> str:
    spans = (_char(a) if a == b else f"{_char(a)}-{_char(b)}" for a, b in chars.ranges)
    return f"[{''.join(spans)}]"


class _Renderer:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._named: dict[Expr, str] = {}
        self._lines: list[str] = []

    def text(self) -> str:
        for name, expr in self._rules.items():
            self._lines.append(f"{name} ::= {self._whole(expr)}")
        return "\n".join(self._lines) + "\n"

    def _whole(self, expr: Expr) -> str:
        if isinstance(expr, Alt):
            return " | ".join(self._part(option) for option in expr.options)
        return self._part(expr)

    def _part(self, expr: Expr) -> str:
        match expr:
            case Text(text):
                return _literal(text)
            case Chars():
                return _class(expr)
            case Ref(name):
                return name
            case Seq(parts):
                return " ".join(self._part(part) for part in parts) or '""'
            case Alt():
                return f"({self._whole(expr)})"
            case Repeat():
                return self._repeat(expr)

    def _repeat(self, expr: Repeat) -> str:
        item = self._whole(expr.item) if isinstance(expr.item, Chars | Ref) else self._name(expr)
        match expr.least, expr.most:
            case 0, 1:
                return f"{item}?"
            case 0, None:
                return f"{item}*"
            case least, None:
                return f"{item}{{{least},}}"
            case least, most:
                return f"{item}{{{least},{most}}}"

    def _name(self, expr: Repeat) -> str:
        """A named rule for a repeated expression."""
        name = self._named.get(expr.item)
        if name is None:
            name = self._named[expr.item] = f"part-{len(self._named)}"
            self._lines.append(f"{name} ::= {self._whole(expr.item)}")
        return name
