"""Every way of delivering that the settings name: HTTP, Socket Mode, or both at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

from aiohttp import web

from adapters.slack.api.settings import SlackSettings
from adapters.slack.receivers.deliveries import Deliver
from adapters.slack.receivers.dispatcher import Dispatcher
from adapters.slack.receivers.socket_mode import SocketMode
from adapters.slack.receivers.webhook import PATH, SlackWebhook
from bot.adapter_support.connection import Observe
from bot.errors import PlatformError
from bot.ports import Clock

logger = logging.getLogger(__name__)

_FIRST_DELAY, _MAX_DELAY, _STEADY_SECONDS = 1.0, 300.0, 60.0


class Receiving:
    """What comes by both ways is handed on twice, with one ``event_id``.

    Where HTTP is on, too, the loss of Socket Mode takes nothing else down. ``trouble``: what is
    wrong with it meanwhile.
    """

    def __init__(
        self, settings: SlackSettings, clock: Clock, observe: Observe, call_timeout: float
    ) -> None:
        secret, app_token = settings.signing_secret, settings.app_token
        self._webhook = SlackWebhook(secret, clock) if secret else None
        self._socket = SocketMode(settings, clock, observe, call_timeout) if app_token else None
        self._clock = clock
        self.trouble = ""

    def routes(self) -> Sequence[web.RouteDef]:
        webhook = self._webhook
        return [web.post(PATH, webhook.handle)] if webhook else []

    async def open(self, opened: AsyncExitStack) -> None:
        """Raises ``SettingsError`` for a refused app token."""
        if self._socket is None:
            return
        try:
            await self._socket.open(opened)
        except PlatformError as error:
            if self._webhook is None:
                raise
            self._lost(error)

    async def listen(self, deliver: Deliver) -> None:
        """Receive until cancelled; raises ``PlatformError`` if all there is is lost."""
        dispatcher = Dispatcher(deliver)
        self._set_dispatcher(dispatcher)
        try:
            if self._socket is None:
                await asyncio.Event().wait()
            elif self._webhook is None:
                await self._socket.listen(dispatcher)
            else:
                await self._keep_listening(self._socket, dispatcher)
        finally:
            self._set_dispatcher(None)

    async def _keep_listening(self, socket: SocketMode, dispatcher: Dispatcher) -> None:
        delay = _FIRST_DELAY
        while True:
            began_at = self._clock.monotonic()
            try:
                await socket.listen(dispatcher, self._regained)
            except PlatformError as error:
                self._lost(error)
            if self._clock.monotonic() - began_at >= _STEADY_SECONDS:
                delay = _FIRST_DELAY
            await self._clock.sleep(delay)
            delay = min(2 * delay, _MAX_DELAY)

    def _lost(self, error: PlatformError) -> None:
        self.trouble = f"only HTTP; Socket Mode is tried again: {error}"
        logger.warning(
            "Slack's Socket Mode is lost and is tried again; what comes by HTTP is taken: %s", error
        )

    def _regained(self) -> None:
        if self.trouble:
            self.trouble = ""
            logger.info("Slack's Socket Mode is connected again")

    def _set_dispatcher(self, dispatcher: Dispatcher | None) -> None:
        if self._webhook:
            self._webhook.dispatcher = dispatcher
