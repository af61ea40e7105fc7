"""``POST /slack/events``: verified, read, answered once the delivery is handled.

200: Slack need not deliver this again. 500: it must. Nothing is parsed before it is verified.
"""

from __future__ import annotations

import asyncio
import re

from aiohttp import web
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from adapters.slack.receivers.deliveries import (
    Deliver,
    Delivery,
    hand_on,
    read_body,
    read_challenge,
)
from bot.adapter_support.connection import Webhook, delivery_of
from bot.ports import Clock

PATH = "/slack/events"

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class SlackWebhook(Webhook[Delivery]):
    """The answer is 503 while nobody listens."""

    path = PATH

    def __init__(self, signing_secret: str, clock: Clock) -> None:
        super().__init__()
        self._verifier = SignatureVerifier(signing_secret, _Seconds(clock))

    async def listen(self, deliver: Deliver) -> None:
        self.deliver = deliver
        try:
            await asyncio.Event().wait()
        finally:
            if self.deliver is deliver:
                self.deliver = None

    async def handle(self, request: web.Request) -> web.Response:
        body = await delivery_of(request)
        if body is None:
            return web.Response(status=413, text="The body is too large.")
        if not self._is_signed(request, body):
            return web.Response(status=401, text="The signature is wrong or too old.")
        if self.deliver is None:
            return web.Response(status=503, text="Not listening yet.")
        delivery = read_body(body.decode())
        if delivery is None:
            return web.Response(text=read_challenge(body.decode()))
        return web.Response(status=200 if await hand_on(delivery, self.deliver) else 500)

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
