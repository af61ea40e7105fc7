"""The tree of a text that grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from bot.markdown.parser import Parsed, TopBlock, pieces, printable
from bot.markdown.tree import Block, CodeBlock, ListItem, Quote, TableBlock


@dataclass(frozen=True, slots=True)
class _Open:
    """The last block, from whose beginning or last part on the text is parsed again.

    ``begun``: the lines of code, rows of a table or blocks of a quote that are complete. What
    follows them is parsed below the lines of ``head``; in a quote, from ``inner`` on.
    """

    whole: TopBlock
    begun: Block | None = None
    head: tuple[str, ...] = ()
    inner: TopBlock | None = None


class GrowingTree:
    """The blocks of a text, parsed again only from its last block on while it grows.

    Blocks that are complete stay the same objects. ``shows_halves``: a link without
    its end is its label, and a formula its source; else they are left out.
    """

    def __init__(self, *, shows_halves: bool = True) -> None:
        self._shows_halves = shows_halves
        self._text = ""
        self._is_growing = False
        self._complete: list[Block] = []
        self._open: _Open | None = None
        self._open_at = 0
        self._blocks: Sequence[Block] = ()

    def blocks(self, markdown: str, *, is_growing: bool = False) -> Sequence[Block]:
        """``is_growing``: what is open at the end of the text counts as closed."""
        text = printable(markdown)
        if text == self._text and is_growing is self._is_growing:
            return self._blocks
        if not text.startswith(self._text[: self._open_at]):
            self._complete, self._open, self._open_at = [], None, 0
        self._text, self._is_growing = text, is_growing
        head = self._open.head if self._open else ()
        self._take("".join(f"{line}\n" for line in head) + text[self._open_at :], len(head))
        return self._blocks

    def _take(self, source: str, num_known: int) -> None:
        """``source``: the text from the open part on, below ``num_known`` lines of its head."""
        parsed = Parsed(source)
        found = parsed.blocks()
        whole = self._continuing(found)
        self._blocks = self._shown(parsed, source, whole)
        # The last line may become anything: a block that begins on it is not known yet.
        last_line = source.count("\n")
        number = sum(each.line < last_line for each in found) - 1
        if number < 0:
            return
        before = self._open if number == 0 else None
        settled = _opened(found[number], whole[number], before, last_line)
        if settled is not None:
            self._open, line = settled
            self._complete += [each.block for each in whole[:number]]
            self._open_at += _offset(source, line) - _offset(source, num_known)

    def _shown(self, parsed: Parsed, source: str, whole: list[TopBlock]) -> list[Block]:
        if self._is_growing:
            healed = parsed.healed(shows_halves=self._shows_halves)
            if healed != source:
                whole = self._continuing(pieces(healed))
        shown = [*self._complete, *(each.block for each in whole)]
        return shown[:-1] if shown[1:] and _is_empty(shown[-1]) else shown

    def _continuing(self, found: list[TopBlock]) -> list[TopBlock]:
        return _continuing(self._open, found) if self._open and found else found


def _is_empty(block: Block) -> bool:
    """A code block of which only the first line has come; it may become anything."""
    return isinstance(block, CodeBlock) and not block.content


def _opened(
    part: TopBlock, whole: TopBlock, before: _Open | None, last_line: int
) -> tuple[_Open, int] | None:
    """The block as the open one, and the line from which it is parsed again; None: as before."""
    num_lines = last_line - part.line - len(part.head)
    if part.head and num_lines > 0:
        begun = _with_more(before, _beginning(part.block, num_lines))
        return _Open(whole, begun, part.head), last_line
    number = sum(each.line < last_line for each in part.inner) - 1
    if number > 0 and isinstance(whole.block, Quote):
        blocks = whole.block.blocks
        begun = replace(whole.block, blocks=blocks[: len(blocks) - len(part.inner) + number])
        return _Open(whole, begun, inner=whole.inner[number]), part.inner[number].line
    if before is not None and before.begun is not None:
        return None
    return _Open(whole), part.line


def _beginning(block: Block, num_lines: int) -> Block:
    """The first lines of code, or rows of a table."""
    if isinstance(block, CodeBlock):
        lines = block.content.split("\n")[:num_lines]
        missing = [""] * (num_lines - len(lines))  # empty ones at its end, which do not count yet
        return replace(block, content="\n".join([*lines, *missing]))
    return replace(block, rows=block.rows[:num_lines]) if isinstance(block, TableBlock) else block


def _with_more(before: _Open | None, more: Block) -> Block:
    match before.begun if before else None, more:
        case CodeBlock(content) as begun, CodeBlock(added):
            return replace(begun, content=f"{content}\n{added}")
        case TableBlock(rows=rows) as begun, TableBlock(rows=added_rows):
            return replace(begun, rows=(*rows, *added_rows))
        case Quote(blocks) as begun, Quote(added_blocks):
            return replace(begun, blocks=(*blocks, *added_blocks))
        case _:
            return more


def _continuing(before: _Open, found: list[TopBlock]) -> list[TopBlock]:
    """``found`` begins in the open block, whose number and place are known already."""
    first, rest = found[0], found[1:]
    if before.inner is not None:
        inner = _placed(before.inner, first.inner)
        first = replace(first, block=Quote(tuple(each.block for each in inner)), inner=inner)
    if before.begun is None:
        return [*_placed(before.whole, found)]
    block = replace(_with_more(before, first.block), hugs=before.whole.block.hugs)
    if isinstance(block, CodeBlock):
        block = replace(block, content=block.content.rstrip("\n"))
    return [replace(first, block=block), *rest]


def _placed(before: TopBlock, found: Sequence[TopBlock]) -> tuple[TopBlock, ...]:
    """The first of ``found``, if it begins where ``before`` did, has its place and number."""
    first, shift = found[0], 0
    if first.line > 0:
        return tuple(found)
    if isinstance(first.block, ListItem) and isinstance(before.block, ListItem):
        shift = (before.block.number or 0) - (first.block.number or 0)
    first = replace(
        first,
        block=replace(first.block, hugs=before.block.hugs),
        continues_list=before.continues_list,
    )
    items = (first, *takewhile(lambda each: each.continues_list, found[1:]))
    return (*(_shifted(each, shift) for each in items), *found[len(items) :])


def _shifted(item: TopBlock, shift: int) -> TopBlock:
    block = item.block
    if not shift or not isinstance(block, ListItem) or block.number is None:
        return item
    return replace(item, block=replace(block, number=block.number + shift))


def _offset(text: str, line: int) -> int:
    """Where a line begins."""
    position = 0
    for _ in range(line):
        position = text.index("\n", position) + 1
    return position
