"""Where a bare address in a text begins and ends."""

from __future__ import annotations

import re

_SCHEME_END = re.compile(r"(?i)(?<![a-z0-9+.-])(?:https?)\Z")
_RUN = re.compile(r"[^\s<>|\"`\\]+")
_FOREIGN = re.compile(
    "[\u2018-\u201f\u2026\u3000-\u30ff\u31f0-\u31ff\uff00-\uff65\uff66-\uff9f"  # punctuation, kana
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7ff"  # hangul
    "\u060c\u061b\u061f\u06d4]"  # Arabic punctuation
)
_HOST_WITHOUT_PORT = re.compile(
    r"(?i)https?://(?:\[[0-9a-f:.]*\]|[^:/?#@\[\]]+)(?=:[^\d/?#@][^/?#@]*(?:[/?#]|\Z))"
)
"""A colon behind a host belongs to it before digits only, or before a password."""
_LINK_BEHIND = re.compile(r"!?\[[^\[\]]*\]\(")
_TRAILING = ".,;:!?'"
_MARKS = "*_~"
_PAIRS = {")": "(", "]": "[", "}": "{"}


def scheme_before(text: str) -> str:
    """``http`` or ``https`` at the end of ``text``, if it is no part of a word; else nothing."""
    match = _SCHEME_END.search(text[-6:])
    return match[0] if match else ""


def end_of_address(text: str, start: int) -> int:
    """Where the address that begins at ``start`` ends.

    A closing bracket belongs to it if it was opened in it. A mark of emphasis at its end does
    if the address holds its partner, unless the same mark stands right before it. Full-width
    punctuation, kana and hangul never do, nor what follows them. A colon behind the host that
    no port follows is the sentence's.
    """
    match = _RUN.match(text, start)
    if match is None:
        return start
    end = match.end()
    if foreign := _FOREIGN.search(text, start, end):
        end = foreign.start()
    if link := _LINK_BEHIND.search(text, start, end):
        end = link.start()
    if host := _HOST_WITHOUT_PORT.match(text, start, end):
        end = host.end()
    end = _first_unopened(text, start, end)
    before = text[start - 1] if start else ""
    while end > start and not _belongs(text, start, end, before):
        end -= 1
    return end


def _first_unopened(text: str, start: int, end: int) -> int:
    """The first closing bracket without an opening one, or ``end``."""
    depth = dict.fromkeys(_PAIRS.values(), 0)
    for position in range(start, end):
        mark = text[position]
        if mark in depth:
            depth[mark] += 1
        elif mark in _PAIRS:
            depth[_PAIRS[mark]] -= 1
            if depth[_PAIRS[mark]] < 0:
                return position
    return end


def _belongs(text: str, start: int, end: int, before: str) -> bool:
    """Whether the last character is part of the address."""
    last = text[end - 1]
    if last in _TRAILING or last in _PAIRS.values():
        return False
    if last not in _MARKS:
        return True
    run = end - start - len(text[start:end].rstrip(last))
    inside = text.count(last, start, end - run)
    return last != before and inside > 0 and (inside + run) % 2 == 0
