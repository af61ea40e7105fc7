"""The ``[discord]`` table, validated; the token appears in no repr and no message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.adapter_support.addresses import web_address
from bot.adapter_support.settings import SettingsReader

_SNOWFLAKE = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class DiscordSettings:
    """``threads``: a question in a channel opens a thread.

    ``file_above``: a reply of more messages than this ends as a file; 0 for never.
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
        reader = SettingsReader("DISCORD", table)
        _check_token(reader)
        _check_address(reader, "api_url", ("http", "https"))
        _check_address(reader, "gateway_url", ("ws", "wss"))
        for each in reader.words("guild_ids"):
            if not _SNOWFLAKE.fullmatch(each):
                problem = f": {each!r} is no server id; it is a number such as 81384788765712384."
                reader.refuse("guild_ids", problem)
        reader.check()
        return cls(
            token=reader.text("token"),
            api_url=reader.text("api_url").rstrip("/"),
            gateway_url=reader.text("gateway_url"),
            guild_ids=reader.words("guild_ids"),
            threads=reader.is_on("threads", default=True),
            age_restricted=reader.is_on("age_restricted", default=False),
            file_above=reader.number("file_above"),
        )


def _check_token(reader: SettingsReader) -> None:
    token = reader.text("token")
    if not token:
        reader.refuse("token", " is not set: give the bot token of your application.")
    elif not re.fullmatch(r"[\x21-\x7e]+", token):
        reader.refuse("token", " holds a space or a strange character; copy it again.")


def _check_address(reader: SettingsReader, key: str, schemes: tuple[str, ...]) -> None:
    if (text := reader.text(key)) and web_address(text, schemes) is None:
        reader.refuse(key, f" must begin with {schemes[0]}:// or the like.")
