"""The tree of a text that grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from bot.markdown.parser import TopBlock, completed, pieces, printable
from bot.markdown.tree import Block, CodeBlock, ListItem


class GrowingTree:
    """The blocks of a text, parsed again only from its last block on while it grows.

    Blocks that are complete stay the same objects.
    """

    def __init__(self) -> None:
        self._text = ""
        self._is_growing = False
        self._complete: list[Block] = []
        self._open: TopBlock | None = None
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
        self._take(text[self._open_at :])
        return self._blocks

    def _take(self, text: str) -> None:
        """``text``: from the beginning of the open block on."""
        found = pieces(completed(text) if self._is_growing else text)
        if found and (found[1:] or self._complete) and _is_empty(found[-1].block):
            found.pop()
        if self._open:
            found = _continuing(self._open, found)
        self._blocks = [*self._complete, *(piece.block for piece in found)]
        # The last line may become anything: a block that begins on it is not known yet.
        settled = [piece for piece in found if piece.line < text.count("\n")]
        if settled:
            self._open = settled[-1]
            self._complete += [piece.block for piece in settled[:-1]]
            self._open_at += _offset(text, self._open.line)


def _is_empty(block: Block) -> bool:
    """A code block of which only the first line has come; it may become anything."""
    return isinstance(block, CodeBlock) and not block.content


def _continuing(before: TopBlock, found: list[TopBlock]) -> list[TopBlock]:
    """``found`` begins where ``before`` did: there its number and its place are known already."""
    if not found:
        return found
    first, shift = found[0], 0
    if isinstance(first.block, ListItem) and isinstance(before.block, ListItem):
        shift = (before.block.number or 0) - (first.block.number or 0)
    found[0] = replace(
        first,
        block=replace(first.block, hugs=before.block.hugs),
        continues_list=before.continues_list,
    )
    return [*_renumbered(found, shift)]


def _renumbered(found: Sequence[TopBlock], shift: int) -> Sequence[TopBlock]:
    """The items of the list with which ``found`` begins count on from those before it."""
    items = [*found[:1], *takewhile(lambda piece: piece.continues_list, found[1:])]
    if not shift:
        return found
    return [*(_shifted(piece, shift) for piece in items), *found[len(items) :]]


def _shifted(piece: TopBlock, shift: int) -> TopBlock:
    item = piece.block
    if not isinstance(item, ListItem) or item.number is None:
        return piece
    return replace(piece, block=replace(item, number=item.number + shift))


def _offset(text: str, line: int) -> int:
    """Where a line begins."""
    position = 0
    for _ in range(line):
        position = text.index("\n", position) + 1
    return position
