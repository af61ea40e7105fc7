"""Waiting: a turn's place in line, shown in its message and by "is typing"."""

from __future__ import annotations

import asyncio

from bot.errors import PlatformError
from bot.reply import ReplyEditor
from bot.turns.line import in_line, in_thread
from bot.turns.parts import Parts
from bot.types import Place

_TYPING_SECONDS = 8.0
"""Platforms show it for about ten seconds."""


class Waiting:
    def __init__(self, parts: Parts, editor: ReplyEditor, place: Place) -> None:
        self._parts = parts
        self._editor = editor
        self._place = place
        self._typing: asyncio.Task[None] | None = None

    def behind(self, num_ahead: int) -> None:
        """Behind earlier questions of the same thread."""
        self._show(in_thread(num_ahead))

    def in_line(self, number: int, wait: float | None = None) -> None:
        self._show(in_line(number, wait))

    def loading(self, model: str) -> None:
        self._show(f"Loading {model}…")

    def _show(self, text: str) -> None:
        self._editor.wait(text)
        if self._typing is None:
            self._typing = asyncio.create_task(self._type())

    def end(self) -> None:
        if self._typing is not None:
            self._typing.cancel()
            self._typing = None

    async def _type(self) -> None:
        adapter = self._parts.adapters[self._place.adapter]
        budget = self._parts.budgets[self._place.adapter]
        try:
            while True:
                async with budget.call("typing", self._place):
                    await adapter.typing(self._place)
                await self._parts.clock.sleep(_TYPING_SECONDS)
        except PlatformError:
            return
