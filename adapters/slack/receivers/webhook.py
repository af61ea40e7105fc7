"""``POST /slack/events``: verified, dispatched, answered once the delivery is handled.

Nothing is parsed before it is verified.
"""

from __future__ import annotations

import re

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from adapters.slack.receivers.deliveries import json_of
from adapters.slack.receivers.dispatcher import Dispatcher
from bot.adapter_support.connection import delivery_of
from bot.ports import Clock

PATH = "/slack/events"

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class SlackWebhook:
    """``dispatcher``: None while nobody listens; the answer is 503 then."""

    def __init__(self, signing_secret: str, clock: Clock) -> None:
        self.dispatcher: Dispatcher | None = None
        self._verifier = SignatureVerifier(signing_secret, _Seconds(clock))

    async def handle(self, request: web.Request) -> web.Response:
        body = await delivery_of(request)
        if body is None:
            return web.Response(status=413, text="The body is too large.")
        if not self._is_signed(request, body):
            return web.Response(status=401, text="The signature is wrong or too old.")
        if self.dispatcher is None:
            return web.Response(status=503, text="Not listening yet.")
        return await to_aiohttp_response(await self.dispatcher.dispatch(json_of(body.decode())))

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        """False also for headers and bodies on which the verifier would raise."""
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not (_TIMESTAMP.fullmatch(timestamp) and signature.isascii()):
            return False
        try:
            body.decode()
        except UnicodeDecodeError:
            return False
        return self._verifier.is_valid(body, timestamp, signature)


class _Seconds(SignatureClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()
