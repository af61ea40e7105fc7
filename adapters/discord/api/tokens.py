"""Discord's own marks in a text (``<t:…>``, ``<#…>`` and so on) as people see them.

Pure and total. What stands in code, or is escaped, is left as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

_VERBATIM = re.compile(r"\\[^0-9A-Za-z\s]|```.+?```|(?<!`)(`++).*?[^`]\1(?!`)", re.DOTALL)
_TOKEN = re.compile(
    r"<(?:@!?(?P<user>[0-9]+)|@&(?P<role>[0-9]+)|#(?P<channel>[0-9]+)|a?(?P<emoji>:\w+:)[0-9]+"
    r"|t:(?P<time>-?[0-9]{1,17})(?::(?P<style>[A-Za-z]))?|(?P<command>/[^<>:\n]+):[0-9]+"
    r"|id:(?P<page>[a-z-]+)(?::[0-9]+)?)>"
)
_PAGES = {
    "browse": "Browse Channels",
    "customize": "Channels & Roles",
    "guide": "Server Guide",
    "home": "Server Home",
    "linked-roles": "Linked Roles",
}
_TIMES = {"t": "%H:%M UTC", "T": "%H:%M:%S UTC", "d": "%Y-%m-%d", "D": "%Y-%m-%d"}
_ANY_TIME = "%Y-%m-%d %H:%M UTC"

Names = Callable[[str, str], str]
"""(``@``, ``@&`` or ``#``, an id) -> the name; empty where it is not known."""


def pieces(content: str) -> Iterator[tuple[str, bool]]:
    """The text in order; whether a piece is code (or an escape), in which nothing is a mark."""
    start = 0
    for match in _VERBATIM.finditer(content):
        yield content[start : match.start()], False
        yield match[0], True
        start = match.end()
    yield content[start:], False


def readable(content: str, names: Names) -> str:
    return "".join(
        piece if is_code else _TOKEN.sub(lambda match: _shown(match, names), piece)
        for piece, is_code in pieces(content)
    )


def _shown(match: re.Match[str], names: Names) -> str:
    if user := match["user"]:
        return f"@{names('@', user) or user}"
    if role := match["role"]:
        return f"@{names('@&', role) or f'role-{role}'}"
    if channel := match["channel"]:
        return f"#{names('#', channel) or f'channel-{channel}'}"
    if match["time"]:
        return _time(match)
    return match["emoji"] or match["command"] or _PAGES.get(match["page"], match[0])


def _time(match: re.Match[str]) -> str:
    """A point in time, in UTC: the reader of these words has no time zone and no now."""
    try:
        at = datetime.fromtimestamp(int(match["time"]), UTC)
    except (ValueError, OverflowError, OSError):
        return match[0]
    return at.strftime(_TIMES.get(match["style"] or "", _ANY_TIME))
