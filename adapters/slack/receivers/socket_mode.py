"""Socket Mode: envelopes over a websocket that Parley opens, each acknowledged once it is handled.

Written for the websocket itself. The SDK's client closes the old connection before it asks for
the new one, asks for ever with a token that is refused, and sleeps and logs in its own way.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import aiohttp

from adapters.slack.api.client import SlackClient
from adapters.slack.api.settings import SlackSettings
from adapters.slack.receivers.deliveries import SocketMessage, read_envelope
from adapters.slack.receivers.dispatcher import Dispatcher
from bot.adapter_support.addresses import web_address
from bot.adapter_support.connection import Observe
from bot.adapter_support.payloads import text_of
from bot.errors import NotPermitted, RateLimited, SettingsError, Unavailable
from bot.ports import Clock

logger = logging.getLogger(__name__)

_MAX_IN_FLIGHT = 500
_LAST_SECONDS = 1.0
"""What deliveries get to be handled when Parley stops; Slack delivers the others again."""

_ADDRESS_SECONDS = 20.0
"""Slack's addresses are for one connection, which has to be made soon."""

_SHORT_SECONDS, _MAX_SHORT = 60.0, 3
"""After so many connections in a row that ended so soon, the next has to wait."""


class SocketMode:
    """Opens the next connection as soon as Slack announces the end of one, which is still read."""

    def __init__(
        self, settings: SlackSettings, clock: Clock, observe: Observe, call_timeout: float
    ) -> None:
        self._settings = replace(settings, bot_token=settings.app_token)
        self._clock = clock
        self._observe = observe
        self._call_timeout = call_timeout
        self._address, self._address_until = "", 0.0
        self._asks_from = 0.0

    async def open(self, opened: AsyncExitStack) -> None:
        """Raises ``SettingsError`` for a refused app token."""
        self._client = SlackClient(self._settings, self._observe, self._call_timeout)
        opened.push_async_callback(self._client.close)
        try:
            self._address = await self._new_address()
        except NotPermitted as error:
            raise SettingsError([str(error)]) from None

    async def listen(
        self, dispatcher: Dispatcher, connected: Callable[[], None] = lambda: None
    ) -> None:
        """``connected`` is called for each connection that stands."""
        lines: list[_Line] = []
        num_short = 0
        try:
            while num_short <= _MAX_SHORT:
                lines.append(await self._connect(dispatcher))
                connected()
                began_at = self._clock.monotonic()
                if len(lines) > 2:
                    await lines.pop(0).close()
                await lines[-1].wanes()
                is_short = self._clock.monotonic() - began_at < _SHORT_SECONDS
                num_short = num_short + 1 if is_short else 0
            raise Unavailable("Socket Mode: Slack ends each connection at once.", ambiguous=False)
        finally:
            await asyncio.gather(*(line.close() for line in lines))

    async def _connect(self, dispatcher: Dispatcher) -> _Line:
        if self._clock.monotonic() >= self._address_until:
            self._address = await self._new_address()
        self._address_until = 0.0
        line = _Line(await self._client.open_websocket(self._address), dispatcher)
        try:
            async with asyncio.timeout(self._call_timeout):
                await line.is_greeted.wait()
        except TimeoutError:
            await line.close()
            raise Unavailable("Socket Mode: Slack says nothing.", ambiguous=False) from None
        except asyncio.CancelledError:
            await line.close()
            raise
        return line

    async def _new_address(self) -> str:
        """Waits as long as Slack asked for when it refused the last time."""
        await self._clock.sleep(max(0.0, self._asks_from - self._clock.monotonic()))
        try:
            answer = await self._client.call("apps.connections.open")
        except RateLimited as error:
            self._asks_from = self._clock.monotonic() + error.retry_after
            raise
        except NotPermitted as error:
            raise NotPermitted(
                "SLACK_APP_TOKEN is refused by Slack; copy the token with the scope "
                f"connections:write again from your app, under Basic Information. {error}"
            ) from None
        url = text_of(answer, "url")
        if web_address(url, ("ws", "wss") if self._settings.is_loopback else ("wss",)) is None:
            raise Unavailable("Slack's answer has no address for Socket Mode.", ambiguous=False)
        self._address_until = self._clock.monotonic() + _ADDRESS_SECONDS
        return url


class _Line:
    """One connection. What was not acknowledged when it ends, Slack delivers again."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, dispatcher: Dispatcher) -> None:
        self.is_greeted = asyncio.Event()
        self._websocket = websocket
        self._dispatcher = dispatcher
        self._is_waning = asyncio.Event()
        self._is_switched_off = False
        self._handling: set[asyncio.Task[None]] = set()
        self._reading = asyncio.create_task(self._read())

    async def wanes(self) -> None:
        """Returns once Slack announces the end, or the line is lost.

        Raises ``NotPermitted`` if Socket Mode was switched off.
        """
        await self._is_waning.wait()
        if self._is_switched_off:
            raise NotPermitted("Socket Mode was switched off in the settings of Slack's app.")

    async def close(self) -> None:
        """Read no more, acknowledge what is handled by then, and end."""
        self._reading.cancel()
        await asyncio.wait({self._reading})
        if handling := set(self._handling):
            await asyncio.wait(handling, timeout=_LAST_SECONDS)
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
        await self._websocket.close()

    async def _read(self) -> None:
        try:
            async for message in self._websocket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._take(read_envelope(message.data))
        finally:
            self._end()

    def _end(self) -> None:
        self._is_waning.set()
        self.is_greeted.set()

    async def _take(self, envelope: SocketMessage) -> None:
        if envelope.type == "disconnect":
            self._is_switched_off = envelope.reason == "link_disabled"
            self._end()
        elif envelope.type == "hello":
            self.is_greeted.set()
        elif envelope.id:
            await self._start(envelope)

    async def _start(self, envelope: SocketMessage) -> None:
        """Where too many are being handled, nothing more is read."""
        if len(self._handling) >= _MAX_IN_FLIGHT:
            await asyncio.wait(self._handling, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._handle(envelope))
        self._handling.add(task)
        task.add_done_callback(self._handled)

    async def _handle(self, envelope: SocketMessage) -> None:
        answer = await self._dispatcher.dispatch(envelope.payload)
        if answer.status == 200:
            await self._acknowledge(envelope.id)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._handling.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("a delivery failed and is asked for again", exc_info=error)

    async def _acknowledge(self, envelope_id: str) -> None:
        """A line that is lost takes none: Slack delivers again, and is then told."""
        with suppress(aiohttp.ClientError, ConnectionError):
            await self._websocket.send_str(json.dumps({"envelope_id": envelope_id}))
