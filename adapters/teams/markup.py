"""Markdown -> what Teams renders of it. Pure and total: any text in.

Teams knows no headings, rules, tables and images: headings become bold, tables code blocks,
images links. ``<`` never stands before a tag's name outside of code, and nowhere before ``at``.
"""

from __future__ import annotations

import re

from adapters.teams.spans import TeamsSpans, escape, harmless
from bot.adapter_support.blocks import FENCE, Line, Markup, renderer


def _indented(line: Line, mark: str) -> Line:
    return Line(" " * (len(mark) + 1) + line.text, line.is_code) if line.text else line


def _quoted(line: Line) -> Line:
    return Line(f"> {line.text}".rstrip())


# A line that arrives later must not change the one above it ("lheading"): replies stream.
render = renderer(
    Markup(TeamsSpans, escape, harmless, lambda _: "-", _indented, _quoted, without=("lheading",))
)


def settled(rendered: str) -> str:
    """The beginning that more Markdown is not likely to change, for a stream that only grows.

    What has begun on the last line and not ended (emphasis, a link, a table) is held back, and
    so is the end of a code block, which may be there for want of more code.
    """
    head, newline, last = rendered.rpartition("\n")
    if last == FENCE and newline:
        return head
    while last.count("|") and newline:
        head, newline, last = head.rpartition("\n")
    if head.count(FENCE) % 2:
        return f"{head}{newline}{last}"
    fragile = re.search(r"[\\*_`\[\]~|&<>#!]|^\s*(?:-|\d+\.?)\s*$", last)
    stable = last[: fragile.start()] if fragile else last
    return f"{head}{newline}{stable}".rstrip()
