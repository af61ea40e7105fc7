"""Which part of a growing text is shown in which message of a reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bot.markdown.cutting import cut
from bot.markdown.drawing import Drawing
from bot.markdown.growing import GrowingTree
from bot.markdown.tree import (
    Block,
    CodeBlock,
    CodeSpan,
    Heading,
    LineBreak,
    ListItem,
    Paragraph,
    Quote,
    Span,
    TableBlock,
    TextSpan,
    ThematicBreak,
)
from bot.types import Rendered

_FULL_ENOUGH = 2 / 3
"""A message of this share of its size may end with a block; else the next one is cut."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a message begins: a block, or what an earlier message left of it."""

    number: int = 0
    rest: Block | None = None


@dataclass(frozen=True, slots=True)
class _Page:
    """``num_blocks``: how many blocks of the tree it was made from."""

    text: Rendered
    next: _Start
    num_blocks: int


class Layout:
    """Fills message after message with the blocks of a text.

    A message is made anew only if a block in it has changed, and a block is drawn once: a
    text that grows costs the same at each step, however long it is. ``change`` is applied to
    each block before it is drawn.
    """

    def __init__(
        self,
        drawing: Drawing,
        max_size: int,
        change: Callable[[Block], Block] = lambda block: block,
    ) -> None:
        self._drawing = drawing
        self._max_size = max_size
        self._change = change
        self._smaller: dict[int, int] = {}
        self._tree = GrowingTree()
        self._sources: list[Block] = []
        self._blocks: list[Block] = []
        self._drawn: list[str | None] = []
        self._pages: list[_Page] = []

    def parts(self, markdown: str, *, is_growing: bool = False) -> list[Rendered]:
        """The text of each message that is not blank.

        ``is_growing``: marks that are open at the end are shown as if they were closed.
        """
        self._update(self._tree.blocks(markdown, is_growing=is_growing))
        start = self._pages[-1].next if self._pages else _Start()
        while start.rest is not None or start.number < len(self._blocks):
            page = self._fill(start, self._smaller.get(len(self._pages), self._max_size))
            self._pages.append(page)
            start = page.next
        return [page.text for page in self._pages if page.text.strip()]

    def shrink(self, part: int, size: int) -> None:
        """The platform refused ``size``: this part is cut again, at half of that."""
        self._smaller[part] = max(1, size // 2)
        del self._pages[part:]

    def _update(self, sources: Sequence[Block]) -> None:
        """Keep what was made from blocks that are still the same."""
        same = 0
        for one, other in zip(self._sources, sources, strict=False):
            if one is not other:
                break
            same += 1
        self._sources = [*sources]
        self._blocks = [*self._blocks[:same], *map(self._change, sources[same:])]
        self._drawn = [*self._drawn[:same], *(None for _ in sources[same:])]
        while self._pages and (
            self._pages[-1].num_blocks > same or self._pages[-1].next.number >= len(sources)
        ):
            self._pages.pop()

    def _fill(self, start: _Start, max_size: int) -> _Page:
        """One message: whole blocks while they fit, and perhaps the beginning of one more."""
        text, above, number = "", None, start.number
        kept: list[tuple[str, int]] = []
        while number < len(self._blocks):
            is_rest = number == start.number and start.rest is not None
            block = start.rest if is_rest and start.rest else self._blocks[number]
            lead = text + self._drawing.gap(above, block) if above else ""
            longer = lead + self._draw(number, block, is_rest=is_rest)
            if self._size(longer) > max_size:
                return self._full(text, lead, above, block, number, max_size, kept)
            kept.append((text, number))
            text, above, number = longer, block, number + 1
        return _Page(self._drawing.message(text), _Start(number), number)

    def _full(
        self,
        text: str,
        lead: str,
        above: Block | None,
        block: Block,
        number: int,
        max_size: int,
        kept: list[tuple[str, int]],
    ) -> _Page:
        """``block`` does not fit any more: cut it, or leave it to the next message."""

        def fits(half: Block) -> bool:
            return self._size(lead + self._drawing.block(half)) <= max_size

        if above is None or self._size(text) < _FULL_ENOUGH * max_size:
            halves = cut(block, fits, must=above is None)
            if halves is None and above is None:
                halves = cut(_flat(block), fits, must=True)
            if halves is not None:
                page = self._drawing.message(lead + self._drawing.block(halves[0]))
                return _Page(page, _Start(number, halves[1]), number + 1)
        if above is None:  # not even one character of it fits
            text, number = self._drawing.block(block), number + 1
        while len(kept) > 1 and isinstance(self._blocks[kept[-1][1]], Heading):
            text, number = kept.pop()
        return _Page(self._drawing.message(text), _Start(number), number + 1)

    def _draw(self, number: int, block: Block, *, is_rest: bool) -> str:
        if is_rest:
            return self._drawing.block(block)
        drawn = self._drawn[number]
        if drawn is None:
            drawn = self._drawn[number] = self._drawing.block(block)
        return drawn

    def _size(self, text: str) -> int:
        return self._drawing.size(text)


def _flat(block: Block) -> Paragraph:
    """Its words alone, where its own shape does not even fit around one of them."""
    spans: list[Span] = []
    for line in _words(block):
        spans += [LineBreak(), *line]
    return Paragraph(tuple(spans[1:]) or (TextSpan(" "),), block.hugs)


def _words(block: Block) -> Iterator[tuple[Span, ...]]:
    match block:
        case Paragraph(spans) | Heading(_, spans):
            yield spans
        case CodeBlock(content):
            yield from ((CodeSpan(line),) for line in content.split("\n") if line.strip())
        case TableBlock(head, rows):
            yield from (cell for row in (head, *rows) for cell in row)
        case Quote(blocks) | ListItem(blocks):
            for each in blocks:
                yield from _words(each)
        case ThematicBreak():
            return
