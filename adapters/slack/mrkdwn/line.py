"""One line of mrkdwn: its marks act in Slack, and no other character does.

Slack has no escape for marks. A mark acts only at a border: white space, the edge of the line,
another mark, or one of the signs below; beside anything else (a letter, a full-width sign) an
invisible space makes a border. A plain character that would pair with another one, full-width
ones too, is written as one that looks like it and never acts; a plain ``>`` that would begin a
quote has a soft hyphen before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

ZERO_WIDTH_SPACE = "\u200b"
_SOFT_HYPHEN = "\u00ad"

_BEFORE = frozenset("([{\"'-\u200b")
_AFTER = frozenset(".,:;!?)]}\"'-\u200b")
_LOOKALIKES = {
    "*": "\u2217",
    "\uff0a": "\ufe61",
    "_": "\u02cd",
    "\uff3f": "\u2e0f",
    "~": "\u223c",
    "`": "\u02cb",
    "\uff40": "\u02cb",
}
_GROUPS = {"*": "*\uff0a", "_": "_\uff3f", "~": "~", "`": "`\uff40"}
_FENCE = "```"
_ACTING = frozenset("".join(_GROUPS.values()))
TICKS = ("`", "\uff40")
_QUOTE = re.compile(r"\A(\s*)(?=&gt;|\uff1e)")


@dataclass(frozen=True, slots=True)
class Mark:
    """Bold, italic or strike begins, or ends."""

    sign: str
    opens: bool


@dataclass(frozen=True, slots=True)
class Code:
    """Written with its backticks; ``content`` holds none."""

    content: str


@dataclass(frozen=True, slots=True)
class TickedCode:
    """Code with backticks in it: plain text where one is all there is, else a block."""

    content: str


@dataclass(frozen=True, slots=True)
class Solid:
    """Written as it is, in mrkdwn: an address in its brackets."""

    mrkdwn: str


Unit = str | Mark | Code | TickedCode | Solid
"""A ``str`` is one plain character."""


def escape(text: str) -> str:
    """The three characters that are control characters to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def line_of(units: Iterable[Unit]) -> str:
    """The line in mrkdwn."""
    return "".join(_written(_without_pairs(_tight(_without_ticks([*units])))))


def without_quote(line: str) -> str:
    """The line, which is no quote whatever it begins with."""
    return _QUOTE.sub(rf"\g<1>{_SOFT_HYPHEN}", line)


def _without_ticks(units: Sequence[Unit]) -> Iterator[Unit]:
    num_ticked = sum(isinstance(unit, TickedCode | Code) or unit in TICKS for unit in units)
    for unit in units:
        if not isinstance(unit, TickedCode):
            yield unit
        elif num_ticked == 1 and sum(each in _ACTING for each in unit.content) == 1:
            yield from unit.content
        else:
            space = " " if "`" in unit.content[0] + unit.content[-1] else ""
            yield Solid(f"{_FENCE}{space}{escape(unit.content)}{space}{_FENCE}")


def _tight(units: Iterable[Unit]) -> list[Unit]:
    """No white space at the inner edges of marks, and no marks around nothing."""
    tight: list[Unit] = []
    opening: list[Unit] = []
    for unit in units:
        if _is_space(unit):
            tight.append(unit)
        elif not isinstance(unit, Mark):
            tight += [*opening, unit]
            opening.clear()
        elif unit.opens:
            opening.append(unit)
        elif opening:
            opening.pop()
        else:
            end = len(tight)
            while _is_space(tight[end - 1]):
                end -= 1
            tight.insert(end, unit)
    return tight


def _without_pairs(units: Sequence[Unit]) -> list[Unit]:
    """Characters that Slack would take for marks are replaced."""
    safe = [*units]
    for sign, group in _GROUPS.items():
        at = [n for n, unit in enumerate(units) if isinstance(unit, str) and unit in group]
        for position in at and _whole_runs(units, _acting(units, at, sign)):
            safe[position] = _LOOKALIKES[str(units[position])]
    return safe


def _whole_runs(units: Sequence[Unit], positions: Iterable[int]) -> set[int]:
    """Signs that stand side by side look alike."""
    found = {*positions}
    for step in (1, -1):
        for position in sorted(found, reverse=step < 0):
            beside = position + step
            while 0 <= beside < len(units) and units[beside] == units[position]:
                found.add(beside)
                beside += step
    return found


def _acting(units: Sequence[Unit], at: Sequence[int], sign: str) -> Sequence[int]:
    """Of the plain characters ``at``, those that might pair. Slack is laxer than it says."""
    around = partial(_neighbours, units)
    has_marks = any(_is_mark(unit, sign) for unit in units)
    if sign == "`":
        return at if has_marks or len(at) > 1 else ()
    if sign == "~":
        loose = [n for n in at if has_marks or not all(map(_is_space, around(n)))]
        return loose if has_marks or len(loose) > 1 else ()
    loose = [n for n in at if not all(map(_is_latin, around(n)))]
    if has_marks:
        return loose
    opening = [n for n in loose if not (_is_wordly(around(n)[0]) or _is_space(around(n)[1]))]
    closing = [n for n in loose if not (_is_space(around(n)[0]) or _is_wordly(around(n)[1]))]
    if not (opening and closing):
        return ()
    pairs = [n for n in opening if n < closing[-1]] + [n for n in closing if n > opening[0]]
    return sorted({*pairs})


def _neighbours(units: Sequence[Unit], position: int) -> tuple[Unit, Unit]:
    """Beyond the line there is space."""
    before = units[position - 1] if position else " "
    return before, units[position + 1] if position + 1 < len(units) else " "


def _written(units: Sequence[Unit]) -> Iterable[str]:
    for number, unit in enumerate(units):
        before, after = _neighbours(units, number)
        match unit:
            case Mark(sign, opens=True):
                yield sign if _is_border_before(before) else ZERO_WIDTH_SPACE + sign
            case Mark(sign):
                yield sign if _is_border_after(after) else sign + ZERO_WIDTH_SPACE
            case Code(content):
                yield "" if _is_border_before(before) else ZERO_WIDTH_SPACE
                yield f"`{escape(content)}`"
                yield "" if _is_border_after(after) else ZERO_WIDTH_SPACE
            case Solid(mrkdwn):
                yield mrkdwn
            case str():
                yield escape(unit)


def _is_border_before(unit: Unit) -> bool:
    """What ends before it has made a border of its own."""
    if isinstance(unit, str):
        return unit.isspace() or unit in _BEFORE
    return isinstance(unit, Mark | Code)


def _is_border_after(unit: Unit) -> bool:
    if isinstance(unit, str):
        return unit.isspace() or unit in _AFTER
    return isinstance(unit, Mark) and not unit.opens


def _is_mark(unit: Unit, sign: str) -> bool:
    return isinstance(unit, Code) if sign == "`" else isinstance(unit, Mark) and unit.sign == sign


def _is_space(unit: Unit) -> bool:
    return isinstance(unit, str) and unit.isspace()


def _is_latin(unit: Unit) -> bool:
    """As in ``snake_case``."""
    return _is_wordly(unit) and str(unit).isascii()


def _is_wordly(unit: Unit) -> bool:
    return isinstance(unit, str) and unit.isalnum()
