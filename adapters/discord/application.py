"""The application at Discord: the link that adds it to a server, and its check for ``doctor``."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

import discord

from adapters.discord.api.client import point_at
from adapters.discord.errors import gateway_error
from adapters.discord.settings import DiscordSettings
from bot.errors import SettingsError

PERMISSIONS: Mapping[str, int] = MappingProxyType(
    {
        "View Channels": 1 << 10,
        "Send Messages": 1 << 11,
        "Send Messages in Threads": 1 << 38,
        "Create Public Threads": 1 << 35,
        "Read Message History": 1 << 16,
        "Add Reactions": 1 << 6,
        "Attach Files": 1 << 15,
    }
)
"""Nothing that could change a server, and not Mention Everyone."""

_ADDRESS = "https://discord.com/oauth2/authorize"


def application_id(token: str) -> str:
    """The id that a token begins with. Raises ``SettingsError``."""
    first = token.partition(".")[0]
    try:
        found = base64.b64decode(first + "=" * (-len(first) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        found = ""
    if not found.isdigit():
        raise SettingsError(
            [
                "The application's id cannot be read from DISCORD_TOKEN; copy it from General "
                "Information at discord.com/developers/applications and give it with --application."
            ]
        )
    return found


def invite_link(application: str) -> str:
    query = {
        "client_id": application,
        "scope": "bot applications.commands",
        "permissions": str(sum(PERMISSIONS.values())),
    }
    return f"{_ADDRESS}?{urlencode(query)}"


Finding = tuple[str, str, str]
"""Status, finding, and what to do about it."""

_SECONDS = 10.0

CONTENT = (
    "Message Content Intent is not granted: follow-ups in threads and replies need a mention, "
    "what others said before is not seen, and it cannot listen in a channel"
)
SWITCH_ON = "Switch it on under Bot at discord.com/developers/applications, or leave it so."


def examine(table: Mapping[str, str]) -> list[Finding]:
    try:
        settings = DiscordSettings.read(table)
        flags = asyncio.run(_flags(settings))
    except SettingsError as error:
        return [("fail", problem, "") for problem in error.problems]
    except (discord.DiscordException, OSError, TimeoutError) as error:
        failure = gateway_error(error)
        status = "fail" if isinstance(failure, SettingsError) else "warn"
        return [(status, str(failure), "")]
    return [("ok", "the token is accepted", ""), _content(flags)]


async def _flags(settings: DiscordSettings) -> discord.ApplicationFlags:
    """What the application was granted. Raises discord.py's errors."""
    async with asyncio.timeout(_SECONDS):
        point_at(settings.api_url, settings.gateway_url)
        client = discord.Client(intents=discord.Intents.none())
        try:
            await client.login(settings.token)
            return client.application_flags
        finally:
            await client.close()


def _content(flags: discord.ApplicationFlags) -> Finding:
    if flags.gateway_message_content or flags.gateway_message_content_limited:
        return ("ok", "Message Content Intent is granted", "")
    return ("warn", CONTENT, SWITCH_ON)
