"""discord.py's client, hardened: malformed payloads are survived, redirects refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import aiohttp
import discord
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

logger = logging.getLogger(__name__)

OnPayload = Callable[[str, dict[str, Any]], None]

EVENTS = frozenset(
    {
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE",
        "INTERACTION_CREATE",
    }
)
"""The events that Parley handles; all others only fill discord.py's cache."""

_ODD = (LookupError, TypeError, ValueError, AttributeError, AssertionError, RecursionError)
_HEARTBEAT_SECONDS = 60.0
_READY_PAUSE = 1.0
"""Seconds without another guild after which the client is ready; late guilds come later."""

discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = (
    False  # Parley joins no voice channel
)

_API, _GATEWAY = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY


def intents(*, message_content: bool = False) -> discord.Intents:
    """The intents that Parley asks for. Only message content is privileged."""
    return discord.Intents(
        guilds=True,
        guild_messages=True,
        dm_messages=True,
        guild_reactions=True,
        dm_reactions=True,
        message_content=message_content,
    )


def point_at(api_url: str, gateway_url: str) -> None:
    """Empty: Discord's own. discord.py keeps these addresses for the whole process."""
    Route.BASE = api_url or _API
    DiscordWebSocket.DEFAULT_GATEWAY = URL(gateway_url) if gateway_url else _GATEWAY


def no_redirects() -> aiohttp.TraceConfig:
    """The token and people's messages go to the configured host only."""

    async def refuse(*_: Any) -> None:
        raise aiohttp.ClientError("a redirect was refused")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def brief(record: logging.LogRecord) -> bool:
    """A filter for discord.py's log: keep that a connection was lost, drop the traceback."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r}", ()
        record.exc_info = record.exc_text = None
    return True


for _name in ("discord.client", "discord.shard"):
    logging.getLogger(_name).addFilter(brief)


class ParleyClient(discord.AutoShardedClient):
    """``on_payload`` gets each event of ``EVENTS`` after discord.py has parsed it.

    ``gateway_url``: empty for the one that Discord names.
    """

    def __init__(self, gateway_url: str, on_payload: OnPayload, call_timeout: float) -> None:
        super().__init__(
            intents=intents(),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=_READY_PAUSE,
            heartbeat_timeout=_HEARTBEAT_SECONDS,
            http_trace=no_redirects(),
        )
        self._gateway_url = gateway_url
        self._on_payload = on_payload
        self._guard_parsers()
        self._limit_calls(call_timeout)

    async def setup_hook(self) -> None:
        """Ask for message content where the application was granted that intent."""
        flags = self.application_flags
        granted = flags.gateway_message_content or flags.gateway_message_content_limited
        self._connection._intents.message_content = granted
        if not granted:
            logger.info("without Message Content Intent follow-ups need a mention")

    @property
    def may_read_content(self) -> bool:
        return self.intents.message_content

    async def launch_shards(self) -> None:
        """As many shards as Discord recommends; a test server may recommend none."""
        try:
            await super().launch_shards()
        except discord.GatewayNotFound:
            if not self._gateway_url:
                raise
            self.shard_count = 1
            await super().launch_shards()

    async def launch_shard(self, gateway: URL, shard_id: int, *, initial: bool = False) -> None:
        where = URL(self._gateway_url) if self._gateway_url else gateway
        await super().launch_shard(where, shard_id, initial=initial)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        logger.exception("discord.py failed in %s", event_method)

    def _limit_calls(self, call_timeout: float) -> None:
        """By aiohttp's own timeout: a cancelled call would leave discord.py's locks held."""
        request = self.http.request
        timeout = aiohttp.ClientTimeout(total=call_timeout)

        async def limited(route: Route, **options: Any) -> Any:
            return await request(route, timeout=timeout, allow_redirects=False, **options)

        self.http.request = limited  # type: ignore[method-assign]

    def _guard_parsers(self) -> None:
        parsers = self._connection.parsers
        for name, parser in list(parsers.items()):
            parsers[name] = self._guarded(name, parser)

    def _guarded(self, name: str, parser: Callable[[Any], None]) -> Callable[[Any], None]:
        def parse(payload: Any) -> None:
            try:
                if name == "READY":
                    payload.setdefault("shard", [0, 1])
                parser(payload)
            except _ODD as error:
                logger.warning("an odd %s was not understood: %s", name, type(error).__name__)
            if name in EVENTS and isinstance(payload, dict):
                self._on_payload(name, payload)

        return parse
