"""Markdown -> mrkdwn, the markup of Slack messages. Pure and total: any text in.

Nothing the model writes can ping or command: ``&``, ``<`` and ``>`` are escaped everywhere,
and the only ``<…>`` ever written is a link to http, https or mailto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.slack.spans import ZERO_WIDTH_SPACE, escape, plain_text, render_spans
from bot.types import Rendered

_BULLETS = ("•", "◦", "▪")
_INDENT = "    "
_RULE = "─" * 20
_FENCE = "```"
_MAX_NESTING = 50
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# Without "code" (four spaces are how models indent lists) and "reference" (it shows nothing).
_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
    .enable(["table", "strikethrough"])
    .disable(["code", "reference", "html_block", "html_inline"])
)


def render(markdown: str) -> Rendered:
    source = _printable(markdown)
    tokens = _MARKDOWN.parse(source)
    if any(token.level >= _MAX_NESTING - 1 for token in tokens):  # what nests deeper is dropped
        return Rendered(escape(source.strip()))
    return Rendered("\n".join(line.text for line in _joined(_Blocks(tokens).until(""))).strip("\n"))


def _printable(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class _Block:
    """``hugs``: stands right under the block before, without an empty line."""

    lines: list[_Line]
    hugs: bool = False


def _joined(blocks: Iterable[_Block]) -> list[_Line]:
    lines: list[_Line] = []
    for block in blocks:
        if lines and not block.hugs:
            lines.append(_Line(""))
        lines.extend(block.lines)
    return lines


def _text_block(text: str, *, hugs: bool = False) -> _Block:
    return _Block([_Line(line) for line in text.split("\n")], hugs)


def _code_block(content: str) -> _Block:
    """Slack ends a block at any three backticks, wherever they stand."""
    safe = escape(content).replace(_FENCE, f"``{ZERO_WIDTH_SPACE}`")
    return _Block([_Line(line, is_code=True) for line in (_FENCE, *safe.split("\n"), _FENCE)])


class _Blocks:
    """One pass over markdown-it's flat block tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = iter(tokens)
        self._list_depth = 0
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
                return [_text_block(render_spans(self._inline(), is_bold=True))]
            case "bullet_list_open" | "ordered_list_open":
                return [self._list(token)]
            case "blockquote_open":
                return [self._quote()]
            case "table_open":
                return [self._table()]
            case "fence" | "code_block":
                return [_code_block(token.content.removesuffix("\n"))]
            case "hr":
                return [_text_block(_RULE)]
        return []

    def _inline(self) -> Sequence[Token]:
        return next(self._tokens).children or ()

    def _paragraph(self, token: Token) -> _Block:
        self._paragraph_end = token.map[1] if token.map else -1
        return _text_block(render_spans(self._inline()), hugs=token.hidden)

    def _quote(self) -> _Block:
        lines = _joined(self.until("blockquote_close"))
        return _Block([line if line.is_code else _Line(f"> {line.text}") for line in lines])

    def _list(self, opening: Token) -> _Block:
        hugs = opening.map is not None and opening.map[0] == self._paragraph_end
        closing = opening.type.replace("open", "close")
        number = int(opening.attrs.get("start", 1)) if opening.tag == "ol" else None
        self._list_depth += 1
        items: list[_Block] = []
        for token in self._tokens:
            if token.type == closing:
                break
            items.append(self._item(self._marker(number, len(items))))
        self._list_depth -= 1
        return _Block(_joined(items), hugs)

    def _marker(self, number: int | None, index: int) -> str:
        if number is not None:
            return f"{number + index}."
        return _BULLETS[min(self._list_depth, len(_BULLETS)) - 1]

    def _item(self, marker: str) -> _Block:
        blocks = self.until("list_item_close")
        is_tight = all(block.hugs for block in blocks[:1])
        lines = _joined(blocks)
        if not lines or lines[0].is_code:
            lines.insert(0, _Line(""))
        first, *rest = lines
        return _Block([_Line(f"{marker} {first.text}"), *map(_indented, rest)], is_tight)

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


def _indented(line: _Line) -> _Line:
    return line if line.is_code or not line.text else _Line(_INDENT + line.text)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]
