"""One connection to Discord, from login to its end, and the parts that work on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import discord
from yarl import URL

from adapters.discord.answers import Answers
from adapters.discord.chains import Chains, earlier_text
from adapters.discord.channels import Channels
from adapters.discord.client import ParleyClient
from adapters.discord.commands import Registration
from adapters.discord.deliveries import Deliveries
from adapters.discord.desk import Desk
from adapters.discord.errors import line_error, translated
from adapters.discord.ids import InteractionRef, MessageRef
from adapters.discord.inbox import Apologise, Inbox
from adapters.discord.posting import Posting
from adapters.discord.rest import Rest
from adapters.discord.settings import DiscordSettings
from adapters.discord.text import Identity
from bot.adapter_support.connection import Observe
from bot.errors import SettingsError, Unavailable
from bot.ports import Clock, Handler
from bot.types import Personality, Place

_FILE_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
_MAX_EARLIER = 8_000
_EARLIER_SECONDS = 5.0


class Connection:
    def __init__(
        self,
        client: ParleyClient,
        settings: DiscordSettings,
        clock: Clock,
        observe: Observe,
        call_timeout: float,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self.rest = Rest(client, observe, call_timeout)
        self.channels = Channels(client, self.rest)
        self.chains = Chains(self.rest)
        self.posting = Posting(self.rest, self.channels, opens_threads=settings.threads)
        self._deliveries = Deliveries()
        self._line: asyncio.Task[None] | None = None
        self.is_open = False

    async def open(
        self,
        personalities: Callable[[], tuple[Personality, ...]],
        apologise: Apologise,
        token_seconds: float,
    ) -> None:
        """Returns once Discord says ready. Raises ``SettingsError`` or ``PlatformError``."""
        await self._log_in()
        self.set_up(personalities, apologise, token_seconds)
        self._line = asyncio.create_task(self._client.connect(), name="parley-discord-gateway")
        await self._wait_until_ready(self._line)
        self.is_open = True
        self._deliveries.start(Registration(self.rest, self._settings.guild_ids).renew())

    def set_up(
        self,
        personalities: Callable[[], tuple[Personality, ...]],
        apologise: Apologise,
        token_seconds: float,
    ) -> None:
        """Put together what needs to know who the bot is."""
        self.answers = Answers(self.rest, self._clock, token_seconds)
        age_restricted = self._settings.age_restricted
        desk = Desk(self.answers, personalities, self._clock)
        self._inbox = Inbox(
            self.channels,
            self.chains,
            self.posting,
            desk,
            self._identity(),
            age_restricted=age_restricted,
            apologise=apologise,
        )

    async def lost(self) -> BaseException | None:
        """Returns when the gateway is closed for good, with the reason."""
        assert self._line is not None  # noqa: S101 - open() came before
        await asyncio.wait({self._line})
        return None if self._line.cancelled() else self._line.exception()

    def take(self, event: str, payload: dict[str, Any], handler: Handler) -> None:
        self._inbox.put(event, payload, handler, self._deliveries)

    async def earlier(
        self, place: Place, message: MessageRef | InteractionRef | None
    ) -> Sequence[tuple[str, str]]:
        """What was said before; a thread that takes too long to read begins without."""
        if not isinstance(message, MessageRef):
            return ()
        me = self._identity()
        with suppress(TimeoutError):
            async with asyncio.timeout(_EARLIER_SECONDS):
                if message.channel != place.channel:
                    said = await self.chains.in_thread(message.channel, message.message, me)
                else:
                    question = await self.chains.message(message)
                    said = await self.chains.before(message.channel, question, me)
                return earlier_text(said, _MAX_EARLIER)
        return ()

    async def fetch(self, url: str, max_size: int) -> bytes:
        """From Discord's file servers, or from the test server."""
        host = _host(url)
        if host not in _FILE_HOSTS and (
            not self._settings.api_url or host != _host(self._settings.api_url)
        ):
            raise Unavailable("The file is not on Discord's servers.", ambiguous=False)
        return await self.rest.fetch(url, max_size)

    async def close(self) -> None:
        self.is_open = False
        await self._deliveries.close()
        await self.rest.close()
        with suppress(discord.DiscordException, OSError):
            await self._client.close()
        if self._line is not None:
            self._line.cancel()
            await asyncio.wait({self._line})

    async def _log_in(self) -> None:
        try:
            with translated("login", self._observe):
                try:
                    await self._client.login(self._settings.token)
                except discord.LoginFailure as error:
                    raise line_error(error) from None
        except SettingsError:
            self._observe("login", "401")
            raise

    async def _wait_until_ready(self, line: asyncio.Task[None]) -> None:
        ready = asyncio.ensure_future(self._client.wait_until_ready())
        await asyncio.wait((line, ready), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise line_error(line.exception() if not line.cancelled() else None)

    def _identity(self) -> Identity:
        user = self._client.user
        return Identity(str(user.id), user.display_name) if user else Identity("0")


def _host(url: str) -> str:
    try:
        return (URL(url).host or "").lower()
    except ValueError:
        return ""
