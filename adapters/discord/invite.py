"""The link with which somebody adds Parley to a server, and the permissions that it asks for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

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
"""Nothing that could change a server, and no Mention Everyone."""

_ADDRESS = "https://discord.com/oauth2/authorize"


def application_id(token: str) -> str:
    """A token begins with its application's id. Raises ``SettingsError``."""
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
