"""Whether the database takes writes, for ``/readyz``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from bot.errors import ParleyError

_PATIENCE = 2.0
_NO_WRITES = "It takes no writes; the log says why."
_MOVED = "Its file was moved, deleted or replaced; start Parley again."


class DatabaseWatch:
    """The state of the database for ``/readyz``; callers at the same time share one check.

    A database that does not answer within ``patience`` seconds counts as failing.
    """

    def __init__(
        self, is_sound: Callable[[], Awaitable[bool]], *, patience: float = _PATIENCE
    ) -> None:
        self._is_sound = is_sound
        self._patience = patience
        self._asking: asyncio.Task[str] | None = None

    async def status(self) -> Mapping[str, str]:
        """``detail`` names no path: everybody may read it."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._problem())
        done, _ = await asyncio.wait({self._asking}, timeout=self._patience)
        late = f"It does not answer within {self._patience:g} s."
        detail = self._asking.result() if done else late
        return {"status": "failing" if detail else "up", "detail": detail}

    async def _problem(self) -> str:
        try:
            return "" if await self._is_sound() else _MOVED
        except ParleyError:
            return _NO_WRITES
