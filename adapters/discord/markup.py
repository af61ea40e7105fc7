"""Markdown -> what Discord renders. Pure and total: any text in.

Discord's Markdown is nearly the model's own. Tables become code blocks, images links; and
nothing the model writes can ping or look like a ping: what Discord would resolve gets a
joiner into it that nobody sees. (``allowed_mentions`` says the same.)
"""

from __future__ import annotations

import re

from bot.adapter_support.markdown import FENCE, aligned, printable
from bot.types import Rendered

_JOINER = "\u2060"
_PING = re.compile(r"@(?=everyone|here)|<(?=@[!&]?\d|#\d|/[^<>\n]*:\d)", re.IGNORECASE)
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\(([^()\s]+)\)")
_ROW = re.compile(r"\s*\|?.*\|.*")
_RULE = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?\s*)?")
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"(\s{0,3})#{4,6}[ \t]+(.*?)[ \t#]*$")


def render(markdown: str) -> Rendered:
    text = printable(markdown)
    lines, fence = [], ""
    table: list[str] = []
    source = text.split("\n")
    for number, line in enumerate(source):
        following = source[number + 1] if number + 1 < len(source) else ""
        is_row = not fence and _belongs_to_table(line, following, table)
        if table and not is_row:
            lines += _code_table(table)
            table = []
        if is_row:
            table.append(line)
            continue
        was_code = bool(fence)
        fence = _fence_after(line, fence)
        lines.append(line if was_code or fence else _prose(line))
    lines += _code_table(table) if table else []
    return Rendered(_PING.sub(lambda match: match[0] + _JOINER, "\n".join(lines)).strip("\n"))


def _fence_after(line: str, fence: str) -> str:
    match = _FENCE.match(line)
    if match is None:
        return fence
    if not fence:
        return match[1]
    closes = match[1].startswith(fence) and not line.strip().strip(fence[0])
    return "" if closes else fence


def _prose(line: str) -> str:
    """Discord has three sizes of headings, and shows images only where it embeds them."""
    line = _IMAGE.sub(lambda match: f"[{match[1] or 'image'}]({match[2]})", line)
    heading = _HEADING.fullmatch(line)
    return f"{heading[1]}**{heading[2]}**" if heading and heading[2] else line


def _belongs_to_table(line: str, following: str, table: list[str]) -> bool:
    if table:
        return bool(_ROW.fullmatch(line))
    return "|" in line and _RULE.fullmatch(following) is not None


def _code_table(rows: list[str]) -> list[str]:
    cells = [_cells(row) for row in rows if not _RULE.fullmatch(row)] or [_cells(rows[0])]
    num_columns = max(map(len, cells))
    padded = [row + [""] * (num_columns - len(row)) for row in cells]
    return [FENCE, *aligned(padded), FENCE]


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("```", "'''") for cell in row.strip().strip("|").split("|")]
