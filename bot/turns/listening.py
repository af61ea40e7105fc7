"""The channels in which nobody needs to mention Parley."""

from __future__ import annotations

from bot.stores import ThreadSettings
from bot.types import Place


class Listening:
    """All of them are in memory, since every message of every channel asks."""

    def __init__(self, settings: ThreadSettings) -> None:
        self._settings = settings
        self._channels: set[str] = set()

    async def load(self) -> None:
        self._channels = {place.channel_form for place in await self._settings.listened()}

    def hears(self, place: Place) -> bool:
        return place.channel_form in self._channels

    async def turn(self, place: Place, *, is_on: bool) -> None:
        await self._settings.set_listened(place, is_on=is_on)
        (self._channels.add if is_on else self._channels.discard)(place.channel_form)
