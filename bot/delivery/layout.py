"""Layout: which stretch of a growing text stands in which message of a reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.markup import Fence, next_part
from bot.types import Rendered


@dataclass(frozen=True, slots=True)
class _Page:
    text: Rendered
    end: int
    fence: Fence | None


class Layout:
    """Cuts are made where ``render`` of a part fits, and stay while the text before them does."""

    def __init__(self, render: Callable[[str], Rendered], max_size: int) -> None:
        self._render = render
        self._max_size = max_size
        self._smaller: dict[int, int] = {}
        self._markdown = ""
        self._full: list[_Page] = []
        self._last: _Page | None = None

    def parts(self, markdown: str) -> list[Rendered]:
        """The text of each message; nothing that is blank."""
        if markdown != self._markdown or not (self._full or self._last):
            self._lay_out(markdown)
        pages = [*self._full, self._last] if self._last else self._full
        return [page.text for page in pages if page.text.strip()]

    def shrink(self, part: int, size: int) -> None:
        """The platform refused ``size``: this part is cut anew, at half of that."""
        self._smaller[part] = max(1, size // 2)
        del self._full[part:]
        self._last = None
        self._markdown = self._markdown[: self._full[-1].end] if self._full else ""

    def _lay_out(self, markdown: str) -> None:
        while self._full and not markdown.startswith(self._markdown[: self._full[-1].end]):
            self._full.pop()
        self._markdown, self._last = markdown, None
        while (page := self._next_page()) is not None:
            if page.end == len(markdown):
                self._last = page
                return
            self._full.append(page)

    def _next_page(self) -> _Page | None:
        start, fence = (self._full[-1].end, self._full[-1].fence) if self._full else (0, None)
        max_size = self._smaller.get(len(self._full), self._max_size)

        def size(text: str) -> int:
            return len(self._render(text))

        part = next_part(self._markdown, start, fence, size, max_size)
        return _Page(self._render(part.text), part.end, part.fence) if part else None
