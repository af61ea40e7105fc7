"""What was read lately, in memory, within bounds of number and size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from bot.reading.page import Page

_MAX_PAGES = 256
_MAX_CHARACTERS = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeptPage:
    """``read``: a page, or the address that a redirect leads to. ``fresh_until``: by the monotonic
    clock. ``headers``: those about keeping it.
    """

    read: Page | URL
    fresh_until: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_characters(self) -> int:
        return len(self.read.text) if isinstance(self.read, Page) else 0


class PageCache:
    """What was used least recently goes first."""

    def __init__(self, max_pages: int = _MAX_PAGES, max_characters: int = _MAX_CHARACTERS) -> None:
        self._max_pages = max_pages
        self._max_characters = max_characters
        self._kept: OrderedDict[URL, KeptPage] = OrderedDict()
        self._num_characters = 0

    def get(self, url: URL) -> KeptPage | None:
        if url in self._kept:
            self._kept.move_to_end(url)
        return self._kept.get(url)

    def put(self, url: URL, page: KeptPage) -> None:
        self.drop(url)
        self._kept[url] = page
        self._num_characters += page.num_characters
        while len(self._kept) > self._max_pages or self._num_characters > self._max_characters:
            self.drop(next(iter(self._kept)))

    def drop(self, url: URL) -> None:
        gone = self._kept.pop(url, None)
        self._num_characters -= gone.num_characters if gone else 0
