"""Markdown -> what Teams renders of it. Pure and total: any text in.

Teams knows no headings, rules, tables and images: headings become bold, tables code blocks,
images links. ``<`` never stands before a tag's name outside of code, and nowhere before ``at``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.teams.spans import ZERO_WIDTH_SPACE, escape, harmless, plain_text, render_spans
from bot.types import Rendered

FENCE = "```"
_RULE = "─" * 20
_MAX_NESTING = 50
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# Without "code" (four spaces are how models indent lists), "reference" (it shows nothing) and
# "lheading" (a line that arrives later must not change the one above it).
_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
    .enable(["table", "strikethrough"])
    .disable(["code", "reference", "lheading", "html_block", "html_inline"])
)


def render(markdown: str) -> Rendered:
    source = _printable(markdown)
    tokens = _MARKDOWN.parse(source)
    if any(token.level >= _MAX_NESTING - 1 for token in tokens):  # what nests deeper is dropped
        return Rendered(escape(source.strip()))
    return Rendered("\n".join(_joined(_Blocks(tokens).until(""))).strip("\n"))


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


def _printable(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class _Block:
    """``hugs``: stands right under the block before, without an empty line."""

    lines: list[str]
    hugs: bool = False


def _joined(blocks: Iterable[_Block]) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        if lines and not block.hugs:
            lines.append("")
        lines.extend(block.lines)
    return lines


def _code_block(content: str) -> _Block:
    """Any three backticks could end it, wherever they stand."""
    safe = harmless(content).replace(FENCE, f"``{ZERO_WIDTH_SPACE}`")
    return _Block([FENCE, *safe.split("\n"), FENCE])


class _Blocks:
    """One pass over markdown-it's flat block tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = iter(tokens)
        self._paragraph_end = -1

    def until(self, closing: str) -> list[_Block]:
        """The blocks up to the token ``closing``, which is consumed."""
        blocks: list[_Block] = []
        for token in self._tokens:
            if token.type == closing:
                break
            blocks.extend(self._block(token))
        return blocks

    def _block(self, token: Token) -> list[_Block]:
        match token.type:
            case "paragraph_open":
                return [self._paragraph(token)]
            case "heading_open":
                return [_Block(render_spans(self._inline(), is_bold=True).split("\n"))]
            case "bullet_list_open" | "ordered_list_open":
                return [self._list(token)]
            case "blockquote_open":
                lines = _joined(self.until("blockquote_close"))
                return [_Block([f"> {line}".rstrip() for line in lines])]
            case "table_open":
                return [self._table()]
            case "fence" | "code_block":
                return [_code_block(token.content.removesuffix("\n"))]
            case "hr":
                return [_Block([_RULE])]
        return []

    def _inline(self) -> Sequence[Token]:
        return next(self._tokens).children or ()

    def _paragraph(self, token: Token) -> _Block:
        self._paragraph_end = token.map[1] if token.map else -1
        return _Block(render_spans(self._inline()).split("\n"), hugs=token.hidden)

    def _list(self, opening: Token) -> _Block:
        hugs = opening.map is not None and opening.map[0] == self._paragraph_end
        closing = opening.type.replace("open", "close")
        number = int(opening.attrs.get("start", 1)) if opening.tag == "ol" else None
        items: list[_Block] = []
        for token in self._tokens:
            if token.type == closing:
                break
            marker = "-" if number is None else f"{number + len(items)}."
            items.append(self._item(marker))
        return _Block(_joined(items), hugs)

    def _item(self, marker: str) -> _Block:
        blocks = self.until("list_item_close")
        is_tight = all(block.hugs for block in blocks[:1])
        first, *rest = _joined(blocks) or [""]
        if first.startswith(FENCE):
            first, rest = "", [first, *rest]
        indent = " " * (len(marker) + 1)
        lines = [f"{marker} {first}", *(f"{indent}{line}" if line else "" for line in rest)]
        return _Block(lines, is_tight)

    def _table(self) -> _Block:
        rows: list[list[str]] = []
        for token in self._tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(plain_text(token.children or ()))
        return _code_block("\n".join(_aligned(rows)))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]
