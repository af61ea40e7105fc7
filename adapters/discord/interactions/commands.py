"""Parley's application commands, and their registration with Discord."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.discord.api.rest import Rest
from bot.adapter_support.payloads import Json
from bot.errors import PlatformError

logger = logging.getLogger(__name__)

MENU = "Ask Parley about this"
_CHAT, _MESSAGE_MENU = 1, 3
_SUB_COMMAND, _STRING, _BOOLEAN = 1, 3, 5
_WHERE: Json = {"contexts": [0, 1], "integration_types": [0]}
"""In servers and in direct messages with Parley; installed to servers, not to users."""

_PERSONALITY = {
    "type": _STRING,
    "name": "personality",
    "description": "Who is to answer",
    "autocomplete": True,
}


def _plain(name: str, description: str) -> Json:
    return {"type": _SUB_COMMAND, "name": name, "description": description}


COMMANDS: Sequence[Json] = (
    {
        "type": _CHAT,
        "name": "ask",
        "description": "Ask Parley; without a question a window for a long one opens",
        "options": [
            {
                "type": _STRING,
                "name": "question",
                "description": "Your question",
                "max_length": 6000,
            },
            _PERSONALITY,
            {"type": _BOOLEAN, "name": "private", "description": "Only you see the answer"},
        ],
        **_WHERE,
    },
    {
        "type": _CHAT,
        "name": "parley",
        "description": "Stop, continue, retry, forget and other things beside asking",
        "options": [
            {
                **_plain("personality", "Choose who answers here"),
                "options": [
                    {**_PERSONALITY, "name": "name", "required": True},
                    {
                        "type": _BOOLEAN,
                        "name": "channel",
                        "description": "For the whole channel (admins)",
                    },
                ],
            },
            {
                **_plain("listen", "Whether people here have to mention me"),
                "options": [
                    {
                        "type": _BOOLEAN,
                        "name": "on",
                        "description": "Answer everybody in this channel (admins)",
                    }
                ],
            },
            _plain("stop", "End your reply that is under way"),
            _plain("continue", "Go on with an answer that was stopped or cut off"),
            _plain("retry", "Answer the last question of this thread again"),
            _plain("catch-up", "Only you are told what was said here lately"),
            _plain("forget", "Delete what Parley remembers of this thread"),
            _plain("status", "Model, queue, context and what is left for you"),
            _plain("help", "What Parley can do"),
        ],
        **_WHERE,
    },
    {"type": _MESSAGE_MENU, "name": MENU, **_WHERE},
)


class Registration:
    """Reads before it writes: a start without a change costs one GET per guild (or one)."""

    def __init__(self, rest: Rest, guild_ids: Sequence[str]) -> None:
        self._rest = rest
        self._guild_ids = guild_ids

    async def renew(self) -> None:
        """Never fails: on an error the registered commands keep working."""
        try:
            if not self._guild_ids:
                await self._renew("/applications/{application_id}/commands")
            for guild in self._guild_ids:
                path = "/applications/{application_id}/guilds/{guild_id}/commands"
                await self._renew(path, guild_id=guild)
        except PlatformError as error:
            logger.warning("the slash commands could not be renewed: %s", error)

    async def _renew(self, path: str, **ids: Any) -> None:
        ids["application_id"] = self._rest.application_id
        there = await self._rest.call("GET", path, **ids)
        if is_same(there, COMMANDS):
            return
        await self._rest.call("PUT", path, body=list(COMMANDS), **ids)
        logger.info("the slash commands were renewed")


def is_same(there: object, ours: Sequence[Json]) -> bool:
    """Whether Discord has exactly these commands; fields that it adds do not count."""
    if not isinstance(there, list) or len(there) != len(ours):
        return False
    by_name = {(each.get("type", _CHAT), each.get("name")): each for each in there}
    return all(_matches(by_name.get((each["type"], each["name"])), each) for each in ours)


def _matches(there: object, ours: object) -> bool:
    """Fields given here are equal there; fields left out here are empty there."""
    match ours:
        case Mapping():
            return isinstance(there, Mapping) and _fields_match(there, ours)
        case list():
            is_alike = isinstance(there, list) and len(there) == len(ours)
            return is_alike and all(map(_matches, there or (), ours))  # type: ignore[call-overload]
    return there == ours


def _fields_match(there: Mapping[str, object], ours: Mapping[str, object]) -> bool:
    extra = ("options", "required", "autocomplete", "max_length")
    return all(_matches(there.get(key), value) for key, value in ours.items()) and not any(
        there.get(key) for key in extra if key not in ours
    )
