"""Paragraphs, lists, quotes, code and tables, for platforms whose markup is not Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.adapter_support.spans import ZERO_WIDTH_SPACE, Spans, plain_text
from bot.types import Rendered

FENCE = "```"
_RULE = "─" * 20
_MAX_NESTING = 50
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Markup:
    """A platform's markup, each part of it a pure function.

    ``escape`` is for text and ``literal`` for code between fences; ``bullet`` gives an item's
    mark at a depth from 1, and ``indented`` a further line of an item behind its mark.
    ``without``: rules of Markdown that it shall not know.
    """

    spans: type[Spans]
    escape: Callable[[str], str]
    literal: Callable[[str], str]
    bullet: Callable[[int], str]
    indented: Callable[[Line, str], Line]
    quoted: Callable[[Line], Line]
    without: tuple[str, ...] = ()


class Render(Protocol):
    def __call__(self, markdown: str) -> Rendered: ...


def renderer(markup: Markup) -> Render:
    """Total: any text in. What nests deeper than anybody writes is shown as it was typed."""
    # Four spaces are how models indent lists ("code"), and a "reference" shows nothing.
    never = ("code", "reference", "html_block", "html_inline", *markup.without)
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _MAX_NESTING})
    parser.enable(["table", "strikethrough"]).disable(list(never))

    def render(markdown: str) -> Rendered:
        source = printable(markdown)
        tokens = parser.parse(source)
        if any(token.level >= _MAX_NESTING - 1 for token in tokens):
            return Rendered(markup.escape(source.strip()))
        lines = _joined(_Blocks(tokens, markup).until(""))
        return Rendered("\n".join(line.text for line in lines).strip("\n"))

    return render


def printable(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", text).encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class _Block:
    """``hugs``: stands right under the block before, without an empty line."""

    lines: list[Line]
    hugs: bool = False


def _joined(blocks: Iterable[_Block]) -> list[Line]:
    lines: list[Line] = []
    for block in blocks:
        if lines and not block.hugs:
            lines.append(Line(""))
        lines.extend(block.lines)
    return lines


def _text_block(text: str, *, hugs: bool = False) -> _Block:
    return _Block([Line(line) for line in text.split("\n")], hugs)


class _Blocks:
    """One pass over markdown-it's flat block tokens."""

    def __init__(self, tokens: Sequence[Token], markup: Markup) -> None:
        self._tokens = iter(tokens)
        self._markup = markup
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
                return [_text_block(self._inline(is_bold=True))]
            case "bullet_list_open" | "ordered_list_open":
                return [self._list(token)]
            case "blockquote_open":
                lines = _joined(self.until("blockquote_close"))
                return [_Block([self._markup.quoted(line) for line in lines])]
            case "table_open":
                return [self._table()]
            case "fence" | "code_block":
                return [self._code(token.content.removesuffix("\n"))]
            case "hr":
                return [_text_block(_RULE)]
        return []

    def _inline(self, *, is_bold: bool = False) -> str:
        tokens = next(self._tokens).children or ()
        return self._markup.spans.rendered(tokens, is_bold=is_bold)

    def _paragraph(self, token: Token) -> _Block:
        self._paragraph_end = token.map[1] if token.map else -1
        return _text_block(self._inline(), hugs=token.hidden)

    def _code(self, content: str) -> _Block:
        """Any three backticks could end it, wherever they stand."""
        safe = self._markup.literal(content).replace(FENCE, f"``{ZERO_WIDTH_SPACE}`")
        return _Block([Line(line, is_code=True) for line in (FENCE, *safe.split("\n"), FENCE)])

    def _list(self, opening: Token) -> _Block:
        hugs = opening.map is not None and opening.map[0] == self._paragraph_end
        closing = opening.type.replace("open", "close")
        number = int(opening.attrs.get("start", 1)) if opening.tag == "ol" else None
        self._list_depth += 1
        bullet = self._markup.bullet(self._list_depth)
        items: list[_Block] = []
        for token in self._tokens:
            if token.type == closing:
                break
            items.append(self._item(bullet if number is None else f"{number + len(items)}."))
        self._list_depth -= 1
        return _Block(_joined(items), hugs)

    def _item(self, mark: str) -> _Block:
        blocks = self.until("list_item_close")
        is_tight = all(block.hugs for block in blocks[:1])
        lines = _joined(blocks)
        if not lines or lines[0].is_code:
            lines.insert(0, Line(""))
        first, *rest = lines
        further = [self._markup.indented(line, mark) for line in rest]
        return _Block([Line(f"{mark} {first.text}"), *further], is_tight)

    def _table(self) -> _Block:
        rows: list[list[str]] = []
        for token in self._tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(plain_text(token.children or ()))
        return self._code("\n".join(aligned(rows)))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table for a font whose letters have one width; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]
