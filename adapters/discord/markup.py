"""Markdown -> the Markdown that Discord renders. Pure and total: any text in.

Discord's Markdown is nearly the model's own, so the lines stay as they are, but for tables,
which become code blocks, small headings, which become bold, and images, which become links.
Nothing the model writes can ping or look like a ping: a joiner that nobody sees is put into
all that Discord would resolve. (``allowed_mentions`` forbids pings too.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bot.adapter_support.markdown import FENCE, ZERO_WIDTH_SPACE, code_table, parser, printable
from bot.types import Rendered

_JOINER = "\u2060"
_PING = re.compile(r"@(?=everyone|here)|<(?=@[!&]?\d|#\d|/[^<>\n]*:\d)", re.IGNORECASE)
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\(([^()\s]+)(?:[ \t]+\"[^\"\n]*\")?\)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_MARKS = re.compile(r"(?:[ \t>]|[-*+](?=[ \t])|\d+[.)](?=[ \t]))*")
_MARKS_OF_FURTHER_LINE = re.compile(r"[ \t>]*")
_RULE = re.compile(r"[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+(?:[ \t]*:?-+:?[ \t]*)?")
_SMALL = ("h4", "h5", "h6")

_parse = parser()


def render(markdown: str) -> Rendered:
    text = "\n".join(_shown(printable(markdown)))
    return Rendered(_PING.sub(lambda match: match[0] + _JOINER, text).strip("\n"))


def _shown(source: str) -> list[str]:
    lines = source.split("\n")
    shown: list[str | None] = list(lines)
    tokens = iter(_parse(source))
    for token in tokens:
        first, end = token.map or (0, 0)
        if token.type == "table_open":
            shown[first:end] = _table(tokens, lines[first:end], is_top=not token.level)
        elif token.type == "heading_open" and token.tag in _SMALL:
            shown[first] = _bold(lines[first], next(tokens).content)
        elif token.type == "inline":
            if any(each.type == "image" for each in token.children or ()):
                shown[first:end] = map(_with_links, lines[first:end])
            if token.level > 1 and (table := _start_of_table(lines, first, end)):
                below = "\n".join(_shown("\n".join(lines[table:end])))
                shown[table:end] = [below, *[None] * (end - table - 1)]
    return [line for line in shown if line is not None]


def _start_of_table(lines: list[str], first: int, end: int) -> int | None:
    """A table right under a list item or a quote, which Markdown takes for more of its text."""
    rows = range(first + 1, end - 1)
    return next((n for n in rows if "|" in lines[n] and _RULE.fullmatch(lines[n + 1])), None)


def _bold(line: str, heading: str) -> str:
    """Discord has three sizes of headings."""
    text = _BOLD.sub(r"\1", _with_links(heading))
    return f"{line.partition('#')[0]}**{text}**" if text else line


def _with_links(text: str) -> str:
    """Discord shows images only where it embeds them."""
    return _IMAGE.sub(lambda match: f"[{match[1] or 'image'}]({match[2]})", text)


def _table(tokens: Iterator[Any], source: list[str], *, is_top: bool) -> list[str | None]:
    """As many lines as in ``source``: the whole table in the first, and None for further ones.

    A line without a bar ends it: the model goes on with text. A table in a list or a quote
    keeps the marks that its lines begin with.
    """
    end = next((n for n in range(2, len(source)) if "|" not in source[n]), len(source))
    table = code_table(_first_rows(tokens, end - 1))
    safe = (line.replace(FENCE, f"``{ZERO_WIDTH_SPACE}`") for line in table)
    marks = further = ""
    if not is_top:
        marks, further = _marks(_MARKS, source[0]), _marks(_MARKS_OF_FURTHER_LINE, source[1])
    shown = marks + f"\n{further}".join((FENCE, *safe, FENCE))
    return [shown, *[None] * (end - 1), *map(_with_links, source[end:])]


def _first_rows(tokens: Iterator[Any], num_rows: int) -> Iterator[Any]:
    """A table's tokens up to its close, without those of further rows."""
    for token in tokens:
        num_rows -= token.type == "tr_open"
        if num_rows >= 0 or token.type == "table_close":
            yield token


def _marks(pattern: re.Pattern[str], line: str) -> str:
    match = pattern.match(line)
    return match[0] if match else ""
