"""Which part of a growing text is shown in which message of a reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from bot.markdown.cutting import cut, rest_of
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


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a message begins: a block, or what an earlier message left of it."""

    number: int = 0
    rest: Block | None = None


@dataclass(frozen=True, slots=True)
class _Page:
    """``num_blocks``: how many blocks of the tree it was made from.

    ``cut``: the beginning of a block with which it ends; its rest is the next one's.
    """

    text: Rendered
    next: _Start
    num_blocks: int
    cut: Block | None = None


@dataclass(frozen=True, slots=True)
class _Drawn:
    block: Block
    text: str
    size: int


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
        self._tree = GrowingTree(shows_halves=drawing.shows_halves)
        self._sources: list[Block] = []
        self._blocks: list[Block] = []
        self._drawn: list[_Drawn | None] = []
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
        """Keep what was made from blocks that are still the same, or begin the same."""
        same = 0
        for one, other in zip(self._sources, sources, strict=False):
            if one is not other:
                break
            same += 1
        had_all = len(self._sources)
        self._sources = [*sources]
        self._blocks = [*self._blocks[:same], *map(self._change, sources[same:])]
        self._drawn = [*self._drawn[:same], *(None for _ in sources[same:])]
        whole = [*takewhile(lambda page: page.num_blocks <= same, self._pages)]
        cut = self._pages[len(whole) :]
        if whole and whole[-1].next.number >= min(had_all, len(sources)):
            whole.pop()
            cut = []
        self._pages = [*whole, *self._still_cut(cut, same)]

    def _still_cut(self, pages: Sequence[_Page], number: int) -> Iterator[_Page]:
        """Of the pages that cut this block, which has grown: those whose part of it is the same."""
        block = self._blocks[number] if number < len(self._blocks) else None
        for page in pages:
            if page.cut is None or block is None or page.next.number != number:
                return
            block = rest_of(page.cut, block)
            if block is None:
                return
            yield replace(page, next=_Start(number, block))

    def _fill(self, start: _Start, max_size: int) -> _Page:
        """One message: whole blocks while they fit, and perhaps the beginning of one more."""
        parts: list[str] = []
        drawn: list[_Drawn] = []
        size, number = 0, start.number
        while number < len(self._blocks):
            rest = start.rest if number == start.number else None
            each = self._draw_rest(rest) if rest is not None else self._draw(number)
            gap = self._drawing.gap(drawn[-1].block, each.block) if drawn else ""
            size += self._size(gap)
            if size + each.size > max_size:
                return self._full(number, each.block, parts, gap, drawn, max_size - size)
            size += each.size
            parts += (gap, each.text)
            drawn.append(each)
            number += 1
        return self._page(parts, _Start(number), number)

    def _full(
        self,
        number: int,
        block: Block,
        parts: list[str],
        gap: str,
        drawn: list[_Drawn],
        room: int,
    ) -> _Page:
        """There is only ``room`` for ``block``: cut it, or leave it to the next message."""

        def fits(half: Block) -> bool:
            return self._size(self._drawing.block(half)) <= room

        halves = None
        if not drawn or room * 3 > self._max_size:
            halves = cut(block, fits, room, must=not drawn)
        if halves is not None:
            text = [*parts, gap, self._drawing.block(halves[0])]
            return self._page(text, _Start(number, halves[1]), number + 1, halves[0])
        if not drawn:
            return self._forced(number, block, fits, room)
        num_left = len([*takewhile(lambda each: isinstance(each.block, Heading), drawn[:0:-1])])
        kept = parts[: 2 * (len(drawn) - num_left)]
        return self._page(kept, _Start(number - num_left), number + 1)

    def _forced(self, number: int, block: Block, fits: Callable[[Block], bool], room: int) -> _Page:
        """Not even the beginning of it fits in its own shape."""
        halves = cut(_flat(block), fits, room, must=True)
        if halves is None:
            return self._page([self._drawing.block(block)], _Start(number + 1), number + 1)
        return self._page([self._drawing.block(halves[0])], _Start(number, halves[1]), number + 1)

    def _page(
        self, parts: Sequence[str], following: _Start, num_blocks: int, cut: Block | None = None
    ) -> _Page:
        return _Page(self._drawing.joined(parts), following, num_blocks, cut)

    def _draw(self, number: int) -> _Drawn:
        drawn = self._drawn[number]
        if drawn is None:
            drawn = self._drawn[number] = self._draw_rest(self._blocks[number])
        return drawn

    def _draw_rest(self, block: Block) -> _Drawn:
        text = self._drawing.block(block)
        return _Drawn(block, text, self._size(text))

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
