"""``POST /api/messages``: verified, handled, and then answered.

202 (invokes: 200): Teams need not deliver this again. 503: it must. No body is parsed before
its sender is verified.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from adapters.teams.auth.verifier import InvalidToken, TokenVerifier
from adapters.teams.connector import Connector, Malformed
from adapters.teams.conversations import read_conversation
from adapters.teams.settings import TeamsSettings
from bot.adapter_support.addresses import is_from_this_machine
from bot.adapter_support.connection import Observe, delivery_of
from bot.adapter_support.payloads import Json, Payload, text_of
from bot.errors import ParleyError, Unavailable

logger = logging.getLogger(__name__)

PATH = "/api/messages"

_CARD_ANSWER = {
    "statusCode": 200,
    "type": "application/vnd.microsoft.activity.message",
    "value": "Done.",
}
_INVOKE_ANSWERS: Mapping[str, Json] = {
    "message/submitAction": {},
    "adaptiveCard/action": _CARD_ANSWER,
}


class TeamsWebhook:
    """``deliver`` gets verified activities; None while nobody listens: the answer is 503 then.

    ``observe`` counts each delivery by the status of its answer.
    """

    def __init__(self, settings: TeamsSettings, verifier: TokenVerifier, observe: Observe) -> None:
        self.deliver: Callable[[Json], Awaitable[None]] | None = None
        self.connector: Connector | None = None
        self._settings = settings
        self._verifier = verifier
        self._observe = observe

    async def handle(self, request: web.Request) -> web.Response:
        response = await self._respond(request)
        self._observe("deliver", str(response.status))
        return response

    async def _respond(self, request: web.Request) -> web.Response:
        body = await delivery_of(request)
        if body is None:
            return web.Response(status=413, text="The body is too large.")
        try:
            activity = await self._verified(request, body)
        except InvalidToken as error:
            logger.info("a delivery to %s was refused: %s", PATH, error)
            return web.Response(status=error.status, text="This is not proven to be Teams.")
        except Unavailable:
            return web.Response(status=503, text="Nothing can be verified at this moment.")
        except Malformed:
            return web.Response(status=400, text="This is no activity.")
        return await self._take(activity)

    async def _verified(self, request: web.Request, body: bytes) -> Json:
        if self._settings.is_anonymous:
            if not is_from_this_machine(request):
                raise InvalidToken("without an app id only this machine may deliver", 403)
            activity = _parsed(body)
        else:
            claims = await self._verifier.verify(request.headers.get("Authorization", ""))
            activity = _parsed(body)
            claims.check(activity)
        self._check_address(activity)
        return activity

    def _check_address(self, activity: Payload) -> None:
        """Raises ``InvalidToken`` for a service, a channel or a tenant that is not trusted."""
        settings = self._settings
        if not settings.trusts(text_of(activity, "serviceUrl")):
            raise InvalidToken("the service's address is not trusted", 403)
        if not settings.is_anonymous and activity.get("channelId") != "msteams":
            raise InvalidToken("the activity is of another channel", 403)
        conversation = read_conversation(activity)
        if conversation is not None and not settings.allows_tenant(conversation.tenant):
            raise InvalidToken("the tenant is not allowed", 403)

    async def _take(self, activity: Json) -> web.Response:
        if self.deliver is None or self.connector is None:
            return web.Response(status=503, text="Not listening yet.")
        try:
            answer = await self.connector.receive(activity, self._answer)
        except Malformed:
            return web.Response(status=400, text="This is no activity.")
        except ParleyError as error:
            logger.warning("a delivery could not be taken and is asked for again: %s", error)
            return web.Response(status=503)
        if activity.get("type") != "invoke":
            return web.Response(status=202)
        return web.json_response(answer or {}, status=501 if answer is None else 200)

    async def _answer(self, activity: Json) -> Json | None:
        """The body for an invoke; None for one of an unknown name."""
        assert self.deliver is not None  # noqa: S101 - _take() has looked
        await self.deliver(activity)
        return _INVOKE_ANSWERS.get(str(activity.get("name")))


def _parsed(body: bytes) -> Json:
    try:
        activity = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(activity, dict) or not isinstance(activity.get("type"), str):
        raise Malformed
    return activity
