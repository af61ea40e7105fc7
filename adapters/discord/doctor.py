"""What ``doctor`` says of Discord: the token, and what the application was granted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import discord

from adapters.discord.client import application_flags
from adapters.discord.errors import line_error
from adapters.discord.settings import DiscordSettings
from bot.errors import SettingsError

Finding = tuple[str, str, str]
"""Status, what is so, and what to do."""

_SECONDS = 10.0

CONTENT = (
    "Message Content Intent is not granted: follow-ups in threads and replies need a mention, "
    "and what others said before is not seen"
)
SWITCH_ON = "Switch it on under Bot at discord.com/developers/applications, or leave it so."


def examine(table: Mapping[str, str]) -> list[Finding]:
    try:
        settings = DiscordSettings.read(table)
        flags = asyncio.run(_flags(settings))
    except SettingsError as error:
        return [("fail", problem, "") for problem in error.problems]
    except (discord.DiscordException, OSError, TimeoutError) as error:
        failure = line_error(error)
        status = "fail" if isinstance(failure, SettingsError) else "warn"
        return [(status, str(failure), "")]
    return [("ok", "the token is accepted", ""), _content(flags)]


async def _flags(settings: DiscordSettings) -> discord.ApplicationFlags:
    async with asyncio.timeout(_SECONDS):
        return await application_flags(settings)


def _content(flags: discord.ApplicationFlags) -> Finding:
    if flags.gateway_message_content or flags.gateway_message_content_limited:
        return ("ok", "Message Content Intent is granted", "")
    return ("warn", CONTENT, SWITCH_ON)
