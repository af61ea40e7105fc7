"""What the grounder calls: who reads pages and feeds, and who searches fact bases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from bot.source import Source
from bot.types import Personality


class ReadText(Protocol):
    """A page or feed as text. ``address``: where it was found in the end."""

    @property
    def kind(self) -> Literal["page", "feed"]: ...
    @property
    def is_cut(self) -> bool: ...
    @property
    def address(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...


class ReadsPages(Protocol):
    async def read(self, address: str, tell: Callable[[str], None]) -> ReadText:
        """Raises ``PageRefused`` with a sentence for people."""
        ...


class SearchesFacts(Protocol):
    async def search(self, personality: Personality, question: str) -> Sequence[Source]:
        """The passages of its fact base that fit best, the best first. Never fails."""
        ...
