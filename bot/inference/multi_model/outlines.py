"""Outlines of models that are not loaded: their names, windows, sizes and tokenizers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from bot.errors import EngineFailed
from bot.inference.core.vocabulary import TextCodec

T = TypeVar("T")


class Outline(TextCodec, Protocol):
    """A model without its weights."""

    @property
    def window(self) -> int: ...
    @property
    def needed_bytes(self) -> int:
        """Bytes of memory that the loaded model would take."""
        ...

    def close(self) -> None: ...


class Outlines:
    """Opens an outline at its first use and keeps it, since a vocabulary is small."""

    def __init__(
        self, sources: Callable[[], Mapping[str, str]], open_outline: Callable[[str], Outline]
    ) -> None:
        self._sources = sources
        self._open_outline = open_outline
        self._opened: dict[str, Outline] = {}
        self._lock = asyncio.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._sources())

    def source(self, name: str) -> str:
        try:
            return self._sources()[name]
        except KeyError:
            raise EngineFailed(f"There is no model {name} any more.") from None

    async def get(self, name: str) -> Outline:
        """Raises ``EngineFailed`` for a missing model, ``ModelError`` for a broken one."""
        async with self._lock:
            if name not in self._opened:
                source = self.source(name)
                self._opened[name] = await asyncio.to_thread(self._open_outline, source)
            return self._opened[name]

    async def read(self, name: str, work: Callable[[TextCodec], T]) -> T:
        return await asyncio.to_thread(work, await self.get(name))

    def close(self) -> None:
        for outline in self._opened.values():
            outline.close()
        self._opened.clear()
