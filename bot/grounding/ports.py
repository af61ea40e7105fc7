"""What the grounder calls: who reads pages and feeds, and who searches fact bases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bot.reading.page import Page
from bot.source import Source
from bot.types import Personality


class ReadsPages(Protocol):
    async def read(self, address: str, tell: Callable[[str], None]) -> Page:
        """Raises ``PageRefused`` with a sentence for people."""
        ...


class SearchesFacts(Protocol):
    async def search(
        self, personality: Personality, question: str, tell: Callable[[str], None]
    ) -> Sequence[Source]:
        """The passages of its fact base that fit best, the best first. Never fails."""
        ...
