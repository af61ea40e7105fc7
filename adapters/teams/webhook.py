"""``POST /api/messages``: verified, taken, answered once the delivery is dealt with.

202 (invokes: 200): Teams need not deliver this again. 503: it must. No body is parsed whose
sender is not proven.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from adapters.teams.connector import Connector, Json, Malformed
from adapters.teams.conversations import read_conversation
from adapters.teams.hosts import is_trusted
from adapters.teams.proof import NotProven, Proof, Vouched
from adapters.teams.settings import TeamsSettings
from bot.adapter_support.addresses import is_from_this_machine
from bot.adapter_support.connection import Observe
from bot.errors import ParleyError, Unavailable

logger = logging.getLogger(__name__)

PATH = "/api/messages"
MAX_BODY = 1024 * 1024

Deliver = Callable[[Json], Awaitable[None]]

_CARD_ANSWER = {
    "statusCode": 200,
    "type": "application/vnd.microsoft.activity.message",
    "value": "Done.",
}
_INVOKE_ANSWERS: Mapping[str, Json] = {
    "message/submitAction": {},
    "adaptiveCard/action": _CARD_ANSWER,
}


class Webhook:
    """``deliver`` is called once per proven activity; while it is None the answer is 503.

    ``observe`` counts each delivery by the status of its answer.
    """

    def __init__(self, settings: TeamsSettings, proof: Proof, observe: Observe) -> None:
        self.deliver: Deliver | None = None
        self.connector: Connector | None = None
        self._settings = settings
        self._proof = proof
        self._observe = observe

    async def handle(self, request: web.Request) -> web.Response:
        response = await self._respond(request)
        self._observe("deliver", str(response.status))
        return response

    async def _respond(self, request: web.Request) -> web.Response:
        if (request.content_length or 0) > MAX_BODY or len(body := await request.read()) > MAX_BODY:
            return web.Response(status=413, text="The body is too large.")
        try:
            activity = await self._proven(request, body)
        except NotProven as error:
            logger.info("a delivery to %s was refused: %s", PATH, error)
            return web.Response(status=error.status, text="This is not proven to be Teams.")
        except Unavailable:
            return web.Response(status=503, text="Nothing can be verified at this moment.")
        except Malformed:
            return web.Response(status=400, text="This is no activity.")
        return await self._take(activity)

    async def _proven(self, request: web.Request, body: bytes) -> Json:
        vouched = await self._vouched(request)
        activity = _parsed(body)
        if vouched is not None:
            vouched.check(activity)
        self._check_address(activity)
        return activity

    async def _vouched(self, request: web.Request) -> Vouched | None:
        """None: without an app id this machine is believed, and nobody else."""
        if not self._settings.is_anonymous:
            return await self._proof.check(request.headers.get("Authorization", ""))
        if not is_from_this_machine(request):
            raise NotProven("without an app id only this machine may deliver", 403)
        return None

    def _check_address(self, activity: Mapping[str, Any]) -> None:
        """Where the answers would go, and for whom, is not the activity's to choose."""
        settings = self._settings
        service_url = activity.get("serviceUrl")
        if not isinstance(service_url, str) or not is_trusted(
            service_url, settings.service_hosts, loopback=settings.is_anonymous
        ):
            raise NotProven("the service's address is not trusted", 403)
        if not settings.is_anonymous and activity.get("channelId") != "msteams":
            raise NotProven("the activity is of another channel", 403)
        conversation = read_conversation(activity)
        if conversation is not None and not settings.allows_tenant(conversation.tenant):
            raise NotProven("the tenant is not allowed", 403)

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
        """The body for an invoke; None for one that nobody here understands."""
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
