"""What happens to one message happens in order: accepted before it is stopped or edited."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.types import Place


def key_of(place: Place, message_id: str) -> str:
    """Message ids are unique within a channel."""
    return f"{place.channel_form}/{message_id}"


class MessageLocks:
    """One lock per message, kept only while somebody holds or awaits it."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def hold(self, place: Place, message_id: str) -> AsyncIterator[None]:
        key = key_of(place, message_id)
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]
