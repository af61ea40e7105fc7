"""The ``[discord]`` table, validated; the token appears in no repr and no message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from bot.errors import SettingsError

_TRUE = frozenset({"true", "1", "yes", "on"})
_SNOWFLAKE = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class DiscordSettings:
    """``threads``: a question in a channel opens a thread.

    ``file_above``: a reply of more messages than this comes as a file; 0 for never.
    """

    token: str = field(repr=False)
    api_url: str = ""
    gateway_url: str = ""
    guild_ids: tuple[str, ...] = ()
    threads: bool = True
    age_restricted: bool = False
    file_above: int = 0

    @classmethod
    def read(cls, table: Mapping[str, str]) -> DiscordSettings:
        """Raises ``SettingsError`` with every problem of the table."""
        given = {key: value.strip() for key, value in table.items()}
        guild_ids = tuple(each for each in given.get("guild_ids", "").split(",") if each)
        problems = _problems(given, guild_ids)
        if problems:
            raise SettingsError(problems)
        return cls(
            token=given["token"],
            api_url=given.get("api_url", "").rstrip("/"),
            gateway_url=given.get("gateway_url", ""),
            guild_ids=guild_ids,
            threads=given.get("threads", "true").lower() in _TRUE,
            age_restricted=given.get("age_restricted", "false").lower() in _TRUE,
            file_above=int(given.get("file_above") or 0),
        )


def _problems(given: Mapping[str, str], guild_ids: tuple[str, ...]) -> list[str]:
    problems = []
    if not given.get("token"):
        problems.append("DISCORD_TOKEN is not set: give the bot token of your application.")
    elif not re.fullmatch(r"[\x21-\x7e]+", given["token"]):
        problems.append("DISCORD_TOKEN holds a space or a strange character; copy it again.")
    for name, schemes in (("api_url", ("http", "https")), ("gateway_url", ("ws", "wss"))):
        if given.get(name) and not _is_address(given[name], schemes):
            problems.append(f"DISCORD_{name.upper()} must begin with {schemes[0]}:// or the like.")
    problems += [
        f"DISCORD_GUILD_IDS: {each!r} is no server id; it is a number such as 81384788765712384."
        for each in guild_ids
        if not _SNOWFLAKE.fullmatch(each)
    ]
    return problems


def _is_address(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in schemes and bool(url.host)
