"""Bolt: it knows Slack's payloads apart, and answers once each is handled.

The answer 200: Slack need not deliver this again. 500: it must.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from adapters.slack.receivers.deliveries import Deliver, Delivery, Kind
from bot.adapter_support.payloads import Payload
from bot.errors import ParleyError

logger = logging.getLogger(__name__)

_JSON = {"content-type": "application/json"}
_ANY, _OURS = re.compile(r".+"), re.compile(r"parley\.")


class Dispatcher:
    """Hands on to ``deliver`` events, commands, and Parley's own buttons, shortcuts and forms.

    All else is acknowledged.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._bolt = AsyncApp(
            name="parley",
            logger=_quiet_logger(),
            authorize=_authorize,
            process_before_response=True,
            request_verification_enabled=False,  # done before anything is parsed
            ignoring_self_events_enabled=False,  # adapters.slack.events does
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        self._bolt.event(_ANY)(self._listener("event"))
        self._bolt.command(_ANY)(self._listener("command"))
        for way in (self._bolt.action, self._bolt.shortcut, self._bolt.view):
            way(_OURS)(self._listener("interaction"))
        self._bolt.error(_ignore)

    async def dispatch(self, payload: str | Payload) -> BoltResponse:
        """``payload``: JSON as it came over HTTP, or what an envelope of Socket Mode held.

        Bolt raises, in many ways, on what has no shape of Slack's. Listeners raise nothing.
        """
        mode = "http" if isinstance(payload, str) else "socket_mode"
        body = payload if isinstance(payload, str) else dict(payload)
        try:
            request = AsyncBoltRequest(body=body, headers=dict(_JSON), mode=mode)
            response = await self._bolt.async_dispatch(request)
        except Exception as error:
            return await _ignore(error)
        is_again = response.status == 500
        return response if is_again else BoltResponse(status=200, body=response.body)

    def _listener(self, kind: Kind) -> Callable[..., Awaitable[BoltResponse]]:
        async def hand_on(body: dict[str, Any]) -> BoltResponse:
            return await self._hand_on(Delivery(kind, body))

        return hand_on

    async def _hand_on(self, delivery: Delivery) -> BoltResponse:
        """The reason of a refusal is in the log, without the message."""
        try:
            await self._deliver(delivery)
        except ParleyError as error:
            logger.warning("a delivery could not be taken and is asked for again: %s", error)
        except Exception:
            logger.exception("a delivery failed and is asked for again")
        else:
            return BoltResponse(status=200, body="")
        return BoltResponse(status=500, body="")


async def _authorize() -> AuthorizeResult:
    """Without a token, since bolt makes no call of its own."""
    return AuthorizeResult(enterprise_id=None, team_id=None)


async def _ignore(error: Exception) -> BoltResponse:
    logger.info("ignored a delivery that is none of Slack's: %s", type(error).__name__)
    return BoltResponse(status=200, body="")


def _quiet_logger() -> logging.Logger:
    """Bolt writes request bodies into its warnings, and message text must not be logged."""
    bolt_logger = logging.getLogger(f"{__name__}.bolt")
    bolt_logger.setLevel(logging.ERROR)
    return bolt_logger
