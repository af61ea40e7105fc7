"""Every way of delivering that the settings name: HTTP, Socket Mode, or both at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from aiohttp import web

from adapters.slack.api.settings import SlackSettings
from adapters.slack.receivers.deliveries import Deliver
from adapters.slack.receivers.dispatcher import Dispatcher
from adapters.slack.receivers.socket_mode import SocketMode
from adapters.slack.receivers.webhook import PATH, SlackWebhook
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
        return [web.post(PATH, webhook.handle)] if webhook else []

    async def open(self, opened: AsyncExitStack) -> None:
        """Raises ``SettingsError`` for a refused app token."""
        if self._socket:
            await self._socket.open(opened)

    async def listen(self, deliver: Deliver) -> None:
        """Receive until cancelled; raises ``PlatformError`` if the line of Socket Mode is lost.

        Until somebody listens again, what comes by HTTP is taken all the same.
        """
        dispatcher = Dispatcher(deliver)
        self._set_dispatcher(dispatcher)
        try:
            await (self._socket.listen(dispatcher) if self._socket else asyncio.Event().wait())
        except asyncio.CancelledError:
            self._set_dispatcher(None)
            raise

    def _set_dispatcher(self, dispatcher: Dispatcher | None) -> None:
        if self._webhook:
            self._webhook.dispatcher = dispatcher
