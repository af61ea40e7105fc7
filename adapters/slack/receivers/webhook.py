"""``POST /slack/events``: verified, dispatched, answered once the delivery is handled.

Nothing is parsed before it is verified.
"""

from __future__ import annotations

import hmac
import logging
import re

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from adapters.slack.receivers.deliveries import json_of
from adapters.slack.receivers.dispatcher import Dispatcher
from bot.adapter_support.connection import delivery_of
from bot.ports import Clock

logger = logging.getLogger(__name__)

PATH = "/slack/events"

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_WINDOW_SECONDS, _SILENT_SECONDS = 300.0, 3_600.0
_FORGED = (
    "a delivery was refused, for its signature is wrong; if it was Slack's, copy "
    "SLACK_SIGNING_SECRET again: Signing Secret, under Basic Information of your app"
)
_UNTIMELY = (
    "a delivery of Slack's was refused: by this machine's clock it was signed %d minutes %s, "
    "so the clock may be off"
)


class SlackWebhook:
    """``dispatcher``: None while nobody listens; the answer is 503 then."""

    def __init__(self, signing_secret: str, clock: Clock) -> None:
        self.dispatcher: Dispatcher | None = None
        self._clock = clock
        self._silent_until: dict[str, float] = {}
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
        is_valid = self._verifier.is_valid(body, timestamp, signature)
        if not is_valid:
            self._explain(body, int(timestamp), signature)
        return is_valid

    def _explain(self, body: bytes, timestamp: int, signature: str) -> None:
        age = self._clock.now().timestamp() - timestamp
        own = self._verifier.generate_signature(timestamp=str(timestamp), body=body) or ""
        if abs(age) > _WINDOW_SECONDS and hmac.compare_digest(own, signature):
            self._warn(_UNTIMELY, abs(age) // 60, "ago" if age > 0 else "from now")
        else:
            self._warn(_FORGED)

    def _warn(self, sentence: str, *details: object) -> None:
        """Once an hour, for anybody may knock as often as they like."""
        now = self._clock.monotonic()
        if now >= self._silent_until.get(sentence, now):
            self._silent_until[sentence] = now + _SILENT_SECONDS
            logger.warning(sentence, *details)


class _Seconds(SignatureClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()
