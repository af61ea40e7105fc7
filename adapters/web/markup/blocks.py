"""Blocks -> HTML: tags of ours around words that have passed the wall (pure)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise

from adapters.web.markup.colours import coloured, language_of
from adapters.web.markup.phrases import phrases
from adapters.web.markup.wall import walled
from bot.markdown.links import LinkPolicy
from bot.markdown.tree import (
    Block,
    CodeBlock,
    Heading,
    ListItem,
    Paragraph,
    Quote,
    Span,
    TableBlock,
    ThematicBreak,
)

_FIRST_HEADING, _LAST_HEADING = 3, 6
_MAX_COLOURED_OPEN = 4_000
_LINES_AT_ONCE = 32

Cells = tuple[tuple[Span, ...], ...]


def groups(blocks: Sequence[Block]) -> Iterator[Sequence[Block]]:
    """A list is one group of its items; every other block is one of its own."""
    begin = 0
    for end in range(1, len(blocks) + 1):
        if end == len(blocks) or not continues(blocks[end - 1], blocks[end]):
            yield blocks[begin:end]
            begin = end


def continues(above: Block, below: Block) -> bool:
    """Whether both are items of one list."""
    if not isinstance(above, ListItem) or not isinstance(below, ListItem):
        return False
    if above.number is None or below.number is None:
        return above.number is below.number
    return below.number == above.number + 1


class PageBlocks:
    """Writes groups of blocks, and keeps what was written of parts that are still the same.

    Between two calls of ``forget`` what was not asked for again is dropped. ``is_open``: the
    text may go on in this block.
    """

    def __init__(self, links: LinkPolicy) -> None:
        self._links = links
        self._before: dict[Hashable, tuple[object, str]] = {}
        self._kept: dict[Hashable, tuple[object, str]] = {}

    def forget(self) -> None:
        self._before, self._kept = self._kept, {}

    def group(self, blocks: Sequence[Block], *, is_open: bool = False) -> str:
        first = blocks[0]
        if isinstance(first, ListItem):
            return self._list(blocks, is_open, ' dir="auto"')
        return self._block(first, is_open, ' dir="auto"')

    def _once(self, key: Hashable, part: object, write: Callable[[], str]) -> str:
        """``part`` is kept alive, so that no other one can have its identity."""
        found = self._kept.get(key) or self._before.get(key) or (part, write())
        self._kept[key] = found
        return found[1]

    def _block(self, block: Block, is_open: bool, direction: str = "") -> str:
        match block:
            case Paragraph(spans):
                return f"<p{direction}>{self._text(spans)}</p>"
            case Heading(level, spans):
                tag = f"h{min(level + _FIRST_HEADING - 1, _LAST_HEADING)}"
                return f"<{tag}{direction}>{self._text(spans)}</{tag}>"
            case CodeBlock(content, info):
                return self._code(content, language_of(info), is_open)
            case TableBlock(head, rows):
                return self._table(head, rows, direction)
            case Quote(blocks):
                inner = self._blocks(blocks, is_open)
                return f"<blockquote{direction}>{inner}</blockquote>"
            case ListItem():
                return self._list((block,), is_open, direction)
            case ThematicBreak():
                return "<hr>"

    def _blocks(self, blocks: Sequence[Block], is_open: bool) -> str:
        found = [*groups(blocks)]
        return "".join(self._inner(each, is_open and each is found[-1]) for each in found)

    def _inner(self, blocks: Sequence[Block], is_open: bool) -> str:
        if isinstance(blocks[0], ListItem):
            return self._list(blocks, is_open)
        return self._once(
            (id(blocks[0]), is_open), blocks[0], lambda: self._block(blocks[0], is_open)
        )

    def _list(self, items: Sequence[Block], is_open: bool, direction: str = "") -> str:
        number = items[0].number if isinstance(items[0], ListItem) else None
        start = f' start="{number}"' if number not in (None, 1) else ""
        tag = "ul" if number is None else "ol"
        inner = "".join(self._item(each, is_open and each is items[-1]) for each in items)
        return f"<{tag}{start}{direction}>{inner}</{tag}>"

    def _item(self, item: Block, is_open: bool) -> str:
        blocks = item.blocks if isinstance(item, ListItem) else ()
        return self._once(
            (id(item), is_open), item, lambda: f"<li>{self._item_text(blocks, is_open)}</li>"
        )

    def _item_text(self, blocks: Sequence[Block], is_open: bool) -> str:
        """The text of an item without empty lines in it is no paragraph of its own."""
        is_tight = all(below.hugs for _, below in pairwise(blocks))
        match blocks:
            case (Paragraph(spans), *rest) if is_tight:
                return self._text(spans) + self._blocks(rest, is_open)
        return self._blocks(blocks, is_open)

    def _text(self, spans: tuple[Span, ...]) -> str:
        return phrases(self._shown(spans))

    def _shown(self, spans: tuple[Span, ...]) -> tuple[Span, ...]:
        shown = self._links.shown(Paragraph(spans))
        return shown.spans if isinstance(shown, Paragraph) else spans

    def _table(self, head: Cells, rows: Sequence[Cells], direction: str) -> str:
        first = self._row(head, "th")
        body = "".join(self._row(row, "td") for row in rows)
        body = f"<tbody>{body}</tbody>" if body else ""
        table = f"<table><thead>{first}</thead>{body}</table>"
        return f'<div class="scroll" tabindex="0"{direction}>{table}</div>'

    def _row(self, cells: Cells, tag: str) -> str:
        def written() -> str:
            inner = "".join(f"<{tag}>{self._text(cell)}</{tag}>" for cell in cells)
            return f"<tr>{inner}</tr>"

        return self._once(id(cells), cells, written)

    def _code(self, content: str, language: str, is_open: bool) -> str:
        html = "".join(self._code_parts(content, language, is_open))
        name = f' data-lang="{language}"' if language else ""
        button = '<button type="button" class="copy">Copy</button>'
        inner = f'<pre dir="ltr" tabindex="0"><code>{html}</code></pre>'
        return f'<figure class="code"{name}>{button}{inner}</figure>'

    def _code_parts(self, content: str, language: str, is_open: bool) -> Iterator[str]:
        """Code that goes on is coloured up to a line that is moved on now and then.

        What follows stands in parts, of which a browser lays out only the last one again.
        """
        if not is_open:
            yield self._coloured(content, language)
            return
        lines = content.split("\n")
        begin = _num_coloured(lines)
        if begin:
            yield self._coloured("".join(f"{line}\n" for line in lines[:begin]), language)
        for number in range(begin, len(lines), _LINES_AT_ONCE):
            part = lines[number : number + _LINES_AT_ONCE]
            is_last = number + _LINES_AT_ONCE >= len(lines)
            html = self._coloured("\n".join(part) + ("" if is_last else "\n"), "")
            yield f'<span class="lines">{html}</span>'

    def _coloured(self, content: str, language: str) -> str:
        key = (content, language)
        return self._once(key, None, lambda: walled(coloured(content, language)))


def _num_coloured(lines: Sequence[str]) -> int:
    """How many lines of code that goes on are coloured: a power of two, and not too long."""
    number = 1
    while number * 2 < len(lines):
        number *= 2
    while number and sum(map(len, lines[:number])) > _MAX_COLOURED_OPEN:
        number //= 2
    return number if number < len(lines) else 0
