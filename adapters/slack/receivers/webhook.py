"""``POST /slack/events``: verified, handed to bolt, answered once the delivery is handled.

200: Slack need not deliver this again. 500: it must. Nothing is parsed before it is verified.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from bot.adapter_support.connection import Webhook, delivery_of
from bot.adapter_support.payloads import Payload, table_of
from bot.errors import ParleyError
from bot.ports import Clock

logger = logging.getLogger(__name__)

PATH = "/slack/events"

_JSON = {"content-type": "application/json"}
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class SlackWebhook(Webhook[Payload]):
    """The answer is 503 while nobody listens."""

    path = PATH

    def __init__(self, signing_secret: str, clock: Clock) -> None:
        super().__init__()
        self._verifier = SignatureVerifier(signing_secret, _Seconds(clock))
        self._bolt = self._make_bolt()

    def _make_bolt(self) -> AsyncApp:
        bolt = AsyncApp(
            name="parley",
            logger=_quiet_logger(),
            authorize=_authorize,
            process_before_response=True,
            request_verification_enabled=False,  # done before anything is parsed
            ignoring_self_events_enabled=False,  # adapters.slack.events does
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        bolt.event(re.compile(".+"))(self._on_event)
        bolt.error(_on_error)
        return bolt

    async def handle(self, request: web.Request) -> web.Response:
        body = await delivery_of(request)
        if body is None:
            return web.Response(status=413, text="The body is too large.")
        if not self._is_signed(request, body):
            return web.Response(status=401, text="The signature is wrong or too old.")
        if self.deliver is None:
            return web.Response(status=503, text="Not listening yet.")
        delivery = _bolt_request(body.decode())
        if delivery is None:
            return web.Response(status=200)
        return await to_aiohttp_response(await self._bolt.async_dispatch(delivery))

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

    async def _on_event(self, body: dict[str, Any]) -> None:
        assert self.deliver is not None  # noqa: S101 - handle() has looked
        await self.deliver(body)


def _bolt_request(text: str) -> AsyncBoltRequest | None:
    """None for a delivery that is not an event: bolt expects Slack's shapes and else raises."""
    try:
        payload = json.loads(text)
        kind = str(payload["type"])
        is_event = isinstance(table_of(payload, "event").get("type"), str)
        is_challenge = isinstance(payload.get("challenge"), str)
        if (kind == "event_callback" and is_event) or (kind == "url_verification" and is_challenge):
            return AsyncBoltRequest(body=text, headers=dict(_JSON))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        kind = type(error).__name__
    logger.info("ignored a delivery that is no event: %.40s", kind)
    return None


async def _authorize() -> AuthorizeResult:
    """Without a token, since bolt makes no call of its own."""
    return AuthorizeResult(enterprise_id=None, team_id=None)


async def _on_error(error: Exception) -> BoltResponse:
    if isinstance(error, ParleyError):
        logger.warning("a delivery could not be taken and is asked for again: %s", error)
    else:
        logger.error("a delivery failed and is asked for again", exc_info=error)
    return BoltResponse(status=500, body="")


def _quiet_logger() -> logging.Logger:
    """Bolt writes request bodies into its warnings, and message text must not be logged."""
    bolt_logger = logging.getLogger(f"{__name__}.bolt")
    bolt_logger.setLevel(logging.ERROR)
    return bolt_logger


class _Seconds(SignatureClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()
