"""Gathers the sources of an answer: pages, feeds, and passages of a fact base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.types import Personality, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesWanted:
    """``text``: the question. ``earlier``: what was asked before it in its thread, oldest first.

    ``may_read``: pages whose addresses the question has may be read for whoever asks. ``person``
    and ``scope``: see ``GenerationRequest``. ``max_characters``: of all excerpts together.
    """

    personality: Personality
    text: str
    earlier: tuple[str, ...] = ()
    may_read: bool = False
    person: str = ""
    scope: str = ""
    max_characters: int = 24_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """``refusals``: a sentence for each reason why something was not read."""

    sources: tuple[Source, ...] = ()
    refusals: tuple[str, ...] = ()


class Grounder:
    async def gather(self, wanted: SourcesWanted, tell: Callable[[str], None]) -> Gathered:
        """Never fails. ``tell`` takes what is done now, as the text of a ``Progress``."""
        return Gathered()
