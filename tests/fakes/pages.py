"""Pages that a test writes, read as ``bot.reading.PageReader`` reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.reading.page import Page, PageFailed


class FakePages:
    """``held``: reading waits until it is set. ``asked``: the addresses, in order."""

    def __init__(self, *pages: Page) -> None:
        self.pages = {page.address: page for page in pages}
        self.held = asyncio.Event()
        self.held.set()
        self.asked: list[str] = []
        self.num_under_way = 0

    async def read(self, address: str, tell: Callable[[str], None]) -> Page:
        self.asked.append(address)
        tell(f"reading {address.split('/')[2]}")
        self.num_under_way += 1
        try:
            await self.held.wait()
        finally:
            self.num_under_way -= 1
        if address not in self.pages:
            raise PageFailed(f"{address.split('/')[2]} has no page at this address.")
        return self.pages[address]


NEWS = Page("https://school.example/news", "School news", "The fair is on 3 May.", "feed")
SEA = Page("https://example.org/sea", "The sea", "The sea is 11 km deep.")
