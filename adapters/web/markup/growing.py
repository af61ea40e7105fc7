"""The HTML of a reply, whole and while it grows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from adapters.web.markup.blocks import PageBlocks, continues, groups
from bot.markdown.growing import GrowingTree
from bot.markdown.links import LinkPolicy
from bot.markdown.tree import Block

EVERY_LINK = LinkPolicy.of("all")


class GrowingPage:
    """The blocks of one reply. A step costs as much as what it changes, however long the text is.

    ``blocks``: all of them, as of the newest step.
    """

    def __init__(self, links: LinkPolicy = EVERY_LINK) -> None:
        self.blocks: list[str] = []
        self._tree = GrowingTree()
        self._page = PageBlocks(links)
        self._sources: Sequence[Block] = ()
        self._ends: list[int] = []

    def grow(self, markdown: str, *, is_growing: bool = True) -> tuple[int, list[str]]:
        """The whole text so far -> how many of the blocks stay, and those that follow them."""
        sources = self._tree.blocks(markdown, is_growing=is_growing)
        kept = self._num_kept(sources)
        begin = self._ends[kept - 1] if kept else 0
        found = [*groups(sources[begin:])]
        self._page.forget()
        html = [self._page.group(each, is_open=is_growing and each is found[-1]) for each in found]
        ends = [*accumulate(map(len, found), initial=begin)][1:]
        before, self.blocks = self.blocks, [*self.blocks[:kept], *html]
        self._sources, self._ends = sources, [*self._ends[:kept], *ends]
        for one, other in zip(before[kept:], html, strict=False):
            if one != other:
                break
            kept += 1
        return kept, self.blocks[kept:]

    def _num_kept(self, sources: Sequence[Block]) -> int:
        """The groups before the one that was last, or that has changed."""
        same = 0
        for one, other in zip(self._sources, sources, strict=False):
            if one is not other:
                break
            same += 1
        kept = min(bisect_left(self._ends, same + 1), max(0, len(self._ends) - 1))
        while kept and not _is_between(sources, self._ends[kept - 1]):
            kept -= 1
        return kept


def _is_between(blocks: Sequence[Block], end: int) -> bool:
    """Whether one group ends there, and another one begins."""
    return end < len(blocks) and not continues(blocks[end - 1], blocks[end])


def html_of(markdown: str, links: LinkPolicy = EVERY_LINK) -> list[str]:
    """A reply that has come to its end: a list of its blocks, each one element."""
    return GrowingPage(links).grow(markdown, is_growing=False)[1]


def folded_html(markdown: str, links: LinkPolicy = EVERY_LINK) -> str:
    """The same as one text: what stands in ``details``, as reasoning does."""
    return "".join(html_of(markdown, links))
