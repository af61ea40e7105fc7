"""Every way of delivering that the settings name: HTTP, Socket Mode, or both at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from aiohttp import web

from adapters.slack.api.settings import SlackSettings
from adapters.slack.receivers.deliveries import Deliver, Receiver
from adapters.slack.receivers.socket_mode import SocketMode
from adapters.slack.receivers.webhook import SlackWebhook
from bot.adapter_support.connection import Observe
from bot.ports import Clock


class Receiving:
    """What comes by both ways is handed on twice, with one ``event_id``."""

    def __init__(
        self, settings: SlackSettings, clock: Clock, observe: Observe, call_timeout: float
    ) -> None:
        secret, app_token = settings.signing_secret, settings.app_token
        self._webhook = SlackWebhook(secret, clock) if secret else None
        self._socket = SocketMode(settings, clock, observe, call_timeout) if app_token else None

    def routes(self) -> Sequence[web.RouteDef]:
        webhook = self._webhook
        return [web.post(webhook.path, webhook.handle)] if webhook else []

    async def open(self, opened: AsyncExitStack) -> None:
        """Raises ``SettingsError`` for a refused app token."""
        if self._socket:
            await self._socket.open(opened)

    async def listen(self, deliver: Deliver) -> None:
        """See ``Receiver``: all ways end with the first whose line is lost."""
        receivers: list[Receiver] = [way for way in (self._webhook, self._socket) if way]
        tasks = [asyncio.create_task(each.listen(deliver)) for each in receivers]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
