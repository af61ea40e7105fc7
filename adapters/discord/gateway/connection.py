"""The gateway connection, from IDENTIFY to its end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import discord

from adapters.discord.api.client import ParleyClient


class Connection:
    """``client`` is logged in; it resumes and reconnects by itself until Discord refuses."""

    def __init__(self, client: ParleyClient) -> None:
        self._client = client
        self._gateway: asyncio.Task[None] | None = None

    async def open(self) -> bool:
        """True once Discord sends READY; False if it closed before, and ``lost`` says why."""
        self._gateway = asyncio.create_task(self._client.connect(), name="parley-discord-gateway")
        ready = asyncio.ensure_future(self._client.wait_until_ready())
        await asyncio.wait((self._gateway, ready), return_when=asyncio.FIRST_COMPLETED)
        is_ready = ready.done()
        ready.cancel()
        return is_ready

    async def lost(self) -> BaseException | None:
        """Returns when the gateway is closed for good, with the reason."""
        assert self._gateway is not None  # noqa: S101 - open() came before
        await asyncio.wait({self._gateway})
        return None if self._gateway.cancelled() else self._gateway.exception()

    async def close(self) -> None:
        with suppress(discord.DiscordException, OSError):
            await self._client.close()
        if self._gateway is not None:
            self._gateway.cancel()
            await asyncio.wait({self._gateway})
