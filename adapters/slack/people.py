"""Names of people: asked for once, bounded, and never worth more than a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from bot.errors import MessageGone, PlatformError, PlatformRefused
from bot.ports import Clock

_MAX_NAME = 80
_QUIET_SECONDS = 60.0


class People:
    """A lookup that fails or takes longer than ``max_wait`` seconds leaves the id as the name,
    and no other is tried for a minute: a delivery must be answered in time."""

    def __init__(
        self,
        look_up: Callable[[str], Awaitable[str]],
        clock: Clock,
        *,
        max_wait: float,
        max_names: int = 10_000,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._max_wait = max_wait
        self._max_names = max_names
        self._names: dict[str, str] = {}
        self._quiet_until = 0.0

    @property
    def names(self) -> Mapping[str, str]:
        """User id -> name, of everybody asked about so far."""
        return MappingProxyType(self._names)

    async def meet(self, user: str) -> None:
        """Learn the name of ``user`` if it can be had quickly."""
        if not user or user in self._names or self._clock.monotonic() < self._quiet_until:
            return
        try:
            async with asyncio.timeout(self._max_wait):
                self._remember(user, await self._look_up(user))
        except (PlatformRefused, MessageGone):
            self._remember(user, user)
        except (PlatformError, TimeoutError):
            self._quiet_until = self._clock.monotonic() + _QUIET_SECONDS

    def _remember(self, user: str, name: str) -> None:
        if len(self._names) >= self._max_names:
            del self._names[next(iter(self._names))]
        self._names[user] = " ".join(name.split())[:_MAX_NAME] or user
