"""Reads grammars in llama.cpp's GBNF, and writes them so that llguidance means the same.

GBNF knows no lexer: every character of an answer may belong to whatever rule fits it. So each
character becomes a terminal of its own; longer ones would be matched as far as they go, and take
what a rule behind them needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from bot.errors import UnsupportedFormat

_MAX_REPEAT = 2_000
_MAX_DEPTH = 64
_SURROGATES = range(0xD800, 0xE000)
_LAST = 0x10FFFF
_LONGEST = 40

_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n]|\#[^\r\n]*)+)
    | (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<kind>\[(?:[^\]\\]|\\.)*\])
    | (?P<times>\{\s*[0-9]{1,9}\s*(?:,\s*[0-9]{0,9}\s*)?\})
    | (?P<rule>[A-Za-z0-9_-]+\s*::=)
    | (?P<name>[A-Za-z0-9_-]+)
    | (?P<sign>[|()*+?.])""",
    re.VERBOSE | re.DOTALL,
)
_CHARACTER = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([nrt\"\\\[\]^/.-]))|([^\\])",
    re.DOTALL,
)
_CONTROLS = {"n": 0x0A, "r": 0x0D, "t": 0x09}
_SIGNS = {"*": "*", "+": "+", "?": "?"}


class _Part(NamedTuple):
    kind: str
    text: str


_END = _Part("end", "the end")


def lark_of(gbnf: str) -> str:
    """The grammar in llguidance's Lark; raises UnsupportedFormat."""
    return _Reader(list(_parts(gbnf))).read()


def _parts(gbnf: str) -> Iterator[_Part]:
    at = 0
    while at < len(gbnf):
        found = _TOKEN.match(gbnf, at)
        if found is None:
            _refuse(f"has {_shown(gbnf[at:])} where a rule should go on")
        if found.lastgroup and found.lastgroup != "space":
            yield _Part(found.lastgroup, found.group())
        at = found.end()


class _Reader:
    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts
        self._at = 0
        self._depth = 0
        self._names: dict[str, str] = {"root": "start"}
        self._rules: dict[str, str] = {}

    def read(self) -> str:
        while self._peek() is not _END:
            part = self._next()
            if part.kind != "rule":
                _refuse(f"has {_shown(part.text)} where a rule like root ::= [a-z]+ should begin")
            name = part.text.removesuffix("::=").rstrip()
            self._rules[self._named(name)] = self._alternatives()
        for name, written in self._names.items():
            if written not in self._rules:
                _refuse(f"has no rule {_shown(name)}")
        return "\n".join(f"{name}: {rule}" for name, rule in self._rules.items())

    def _named(self, name: str) -> str:
        return self._names.setdefault(name, f"r{len(self._names)}")

    def _alternatives(self) -> str:
        options = [self._sequence()]
        while self._takes("|"):
            options.append(self._sequence())
        return " | ".join(options)

    def _sequence(self) -> str:
        items = []
        while (part := self._peek()) is not _END and part.kind != "rule" and part.text not in "|)":
            items.append(self._repeated(self._item()))
        return " ".join(items) or '""'

    def _item(self) -> str:
        part = self._next()
        match part.kind:
            case "text":
                return _text(part.text[1:-1])
            case "kind":
                return _class(part.text)
            case "name":
                return self._named(part.text)
        if part.text == ".":
            return _ranges([(0, _LAST)])
        if part.text == "(":
            return self._group()
        return _refuse(f"has {_shown(part.text)} with nothing before it")

    def _group(self) -> str:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            _refuse("has too many groups in each other")
        written = self._alternatives()
        if not self._takes(")"):
            _refuse("has a group that is not closed")
        self._depth -= 1
        return f"({written})"

    def _repeated(self, item: str) -> str:
        while True:
            part = self._peek()
            if part.kind == "times":
                item = _times(item, self._next().text)
            elif part.kind == "sign" and part.text in "*+?":
                item = f"({item}){self._next().text}"
            else:
                return item

    def _peek(self) -> _Part:
        return self._parts[self._at] if self._at < len(self._parts) else _END

    def _next(self) -> _Part:
        self._at += 1
        return self._parts[self._at - 1]

    def _takes(self, sign: str) -> bool:
        is_next = self._peek() == _Part("sign", sign)
        self._at += is_next
        return is_next


def _times(item: str, counts: str) -> str:
    low, comma, high = (each.strip() for each in counts[1:-1].partition(","))
    least, most = int(low), int(high) if high else None if comma else int(low)
    if max(least, most or 0) > _MAX_REPEAT:
        _refuse(f"has more than {_MAX_REPEAT:,} repetitions")
    if most is None:
        return f"(({item}){{{least}}} ({item})*)"
    if most < least:
        _refuse(f"has {counts}, with more at least than at most")
    return f"({item}){{{least},{most}}}" if most else '""'


def _characters(text: str) -> Iterator[tuple[int, bool]]:
    """Code points, and whether each is written as it is."""
    at = 0
    while at < len(text):
        found = _CHARACTER.match(text, at)
        if found is None:
            _refuse(f"has {_shown(text[at:])}, an escape that GBNF does not know")
        *digits, escaped, plain = found.groups()
        code = next((int(each, 16) for each in digits if each), None)
        if code is None:
            code = ord(plain) if plain else _CONTROLS.get(escaped, ord(escaped))
        if code in _SURROGATES or code > _LAST:
            _refuse(f"has {found.group()}, which is no character")
        yield code, bool(plain)
        at = found.end()


def _text(text: str) -> str:
    """Each character is a terminal of its own."""
    written = " ".join(json.dumps(chr(code)) if code < 0x80 else _ranges([(code, code)])
                       for code, _ in _characters(text))  # fmt: skip
    return f"({written})" if written else '""'


def _class(text: str) -> str:
    is_negated = text.startswith("[^")
    codes = list(_characters(text[2 if is_negated else 1 : -1]))
    ranges, at = [], 0
    while at < len(codes):
        first = last = codes[at][0]
        if codes[at + 1 : at + 2] == [(ord("-"), True)] and at + 2 < len(codes):
            last = codes[at + 2][0]
            at += 2
        if last < first:
            _refuse(f"has {_shown(text)}, a range of characters from its end to its beginning")
        ranges.append((first, last))
        at += 1
    if not ranges and not is_negated:
        _refuse("has [], a class without characters")
    return _ranges(ranges or [(0, _LAST)], is_negated=is_negated and bool(ranges))


def _ranges(ranges: list[tuple[int, int]], *, is_negated: bool = False) -> str:
    written = "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges)
    return f"/[{'^' if is_negated else ''}{written}]/"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _refuse(problem: str) -> NoReturn:
    raise UnsupportedFormat(f"The grammar {problem}.", name="grammar")
