"""The people of a workspace, by their names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from bot.adapter_support.payloads import Payload, table_of, text_of
from bot.errors import MessageGone, PlatformError, PlatformRefused
from bot.ports import Clock

_MAX_NAME = 80
_MAX_NAMES = 10_000
_MAX_AT_ONCE = 20
_NAME_SECONDS = 1.0
_QUIET_SECONDS = 60.0


def is_bot(user: str) -> bool:
    """By its id: people's begin with U or W."""
    return user.startswith("B")


class People:
    """The names of people, each looked up once. ``names``: user id -> name, bounded.

    ``teams``: of each of them the workspace, which is another one in channels that are shared.

    A lookup that fails or takes longer than a second leaves the id as the name, and no other
    is tried for a minute: a delivery must be answered in time.
    """

    def __init__(self, call: Callable[..., Awaitable[dict[str, Any]]], clock: Clock) -> None:
        self.names: dict[str, str] = {}
        self.teams: dict[str, str] = {}
        self._call = call
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._quiet_until = 0.0

    async def meet(self, users: Iterable[str]) -> None:
        """Learn the names of the first ``users`` if that takes no longer than a moment."""
        strangers = (user for user in dict.fromkeys(users) if user not in self.names)
        unknown = [user for user in strangers if user and not is_bot(user)]
        if not unknown or self._clock.monotonic() < self._quiet_until:
            return
        try:
            async with asyncio.timeout(_NAME_SECONDS):
                await asyncio.gather(*map(self._learn, unknown[:_MAX_AT_ONCE]))
        except TimeoutError:
            self._pause()

    async def _learn(self, user: str) -> None:
        """Once, though both events of a mention come at the same moment."""
        try:
            async with self._locks.setdefault(user, asyncio.Lock()):
                if user not in self.names:
                    await self._ask(user)
        finally:
            self._locks.pop(user, None)

    async def _ask(self, user: str) -> None:
        try:
            found = table_of(await self._call("users.info", user=user), "user")
        except (PlatformRefused, MessageGone):
            found = {}
        except PlatformError:
            self._pause()
            return
        if len(self.names) >= _MAX_NAMES:
            del self.names[oldest := next(iter(self.names))]
            self.teams.pop(oldest, None)
        self.names[user] = " ".join(_name(found).split())[:_MAX_NAME] or user
        if team := text_of(found, "team_id"):
            self.teams[user] = team

    def _pause(self) -> None:
        self._quiet_until = self._clock.monotonic() + _QUIET_SECONDS


def _name(user: Payload) -> str:
    profile = table_of(user, "profile")
    names = (profile.get("display_name"), user.get("real_name"), user.get("name"))
    return next((name for name in names if isinstance(name, str) and name.strip()), "")
