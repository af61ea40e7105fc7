"""The one module that knows botbuilder: activities in, REST calls out.

botbuilder 4.17.1 is out of support. To replace it, replace this module: ``Connector`` parses an
activity (``receive``) and makes the calls (``send``, ``update``, ``delete``) on plain JSON, and
raises the errors that ``adapters.teams.errors`` maps. Verification of the sender, the bot's own
token, texts, cards and streams do not use botbuilder.

Its faults are worked around here: entities lose their data (``_OpenEntity``), it would fetch a
token each turn and retry by itself through threads (``_Sender`` replaces both), and its own
route serialises answers twice (``adapters.teams.webhook`` is ours).
"""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from botbuilder.core import TurnContext  # type: ignore[import-untyped]
from botbuilder.integration.aiohttp import CloudAdapter  # type: ignore[import-untyped]
from botbuilder.schema import Activity, Entity  # type: ignore[import-untyped]
from botframework.connector import (  # type: ignore[import-untyped]
    AsyncBfPipeline,
    BotFrameworkConnectorConfiguration,
)
from botframework.connector.aio import ConnectorClient  # type: ignore[import-untyped]
from botframework.connector.auth import (  # type: ignore[import-untyped]
    AuthenticateRequestResult,
    BotFrameworkAuthentication,
    ClaimsIdentity,
    ConnectorFactory,
)
from msrest.exceptions import (  # type: ignore[attr-defined]
    ClientException,
    DeserializationError,
    SerializationError,
)
from msrest.pipeline import Response
from msrest.pipeline.async_abc import AsyncHTTPSender
from msrest.universal_http import ClientRequest
from msrest.universal_http.async_abc import AsyncClientResponse
from multidict import CIMultiDict

from adapters.teams.errors import BrokenAnswer, refusal_of
from bot.adapter_support.payloads import Json

Logic = Callable[[Json], Awaitable[Json | None]]

SDK_ERRORS = (ClientException, DeserializationError, SerializationError)
"""All errors of msrest; with azure-core installed the last two are of another tree."""

_MAX_ANSWER = 1024 * 1024
_MAX_CLIENTS = 64
_NO_CREDENTIALS = ()
"""Neither None, which botbuilder refuses, nor a policy, which its second pipeline would rewire."""


class Malformed(Exception):
    """The delivery is not an activity."""


class Connector:
    """``token`` gives the token of each call; None: calls carry none."""

    def __init__(
        self, token: Callable[[], Awaitable[str]] | None, app_id: str, call_timeout: float
    ) -> None:
        timeout = aiohttp.ClientTimeout(total=call_timeout, connect=call_timeout / 2)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        self._session._retry_connection = False  # one call is one request: they are counted
        self._token = token
        self._clients: dict[str, ConnectorClient] = {}
        self._cloud = CloudAdapter(_Authentication(self._client))
        self._claims = self._cloud.create_claims_identity(app_id)

    async def start(self) -> None:
        """botbuilder's first client calls ``uname``, which must not block the event loop."""
        await asyncio.to_thread(platform.platform)

    async def close(self) -> None:
        await self._session.close()

    async def receive(self, body: Json, logic: Logic) -> Json | None:
        """Run ``logic`` as botbuilder's turn on an activity whose sender is verified.

        The answer is the body for an invoke. Raises ``Malformed``.
        """
        answer: list[Json | None] = []

        async def on_turn(_: TurnContext) -> None:
            answer.append(await logic(body))

        activity = _activity(body)
        result = AuthenticateRequestResult()
        result.claims_identity = self._claims
        result.connector_factory = _Clients(self._client)
        activity.type = "event"  # botbuilder's own answer to an invoke is not wanted
        await self._cloud.process_activity(result, activity, on_turn)
        return answer[0]

    async def send(self, service_url: str, conversation: str, body: Json) -> str:
        """POST an activity. Returns its id, or an empty text if the service names none."""
        operations = self._client(service_url).conversations
        call = operations.send_to_conversation(conversation, _activity(body))
        return _id_of(await _guarded(call))

    async def update(self, service_url: str, conversation: str, message: str, body: Json) -> None:
        operations = self._client(service_url).conversations
        await _guarded(operations.update_activity(conversation, message, _activity(body)))

    async def delete(self, service_url: str, conversation: str, message: str) -> None:
        operations = self._client(service_url).conversations
        await _guarded(operations.delete_activity(conversation, message))

    def _client(self, service_url: str) -> ConnectorClient:
        client = self._clients.get(service_url)
        if client is None:
            if len(self._clients) >= _MAX_CLIENTS:
                self._clients.clear()
            client = self._clients[service_url] = self._make_client(service_url)
        return client

    def _make_client(self, service_url: str) -> ConnectorClient:
        configuration = BotFrameworkConnectorConfiguration(
            _NO_CREDENTIALS,
            service_url,
            pipeline_type=AsyncBfPipeline,
            sender=_Sender(self._session, self._token),
        )
        return ConnectorClient(None, custom_configuration=configuration)


class _OpenEntity(Entity):  # type: ignore[misc]
    """An entity that keeps all of its fields; botbuilder's sends ``type`` only."""

    _attribute_map = {  # noqa: RUF012
        "type": {"key": "type", "type": "str"},
        "additional_properties": {"key": "", "type": "{object}"},
    }


def _activity(body: Json) -> Activity:
    try:
        activity = Activity.deserialize(body)
    except (*SDK_ERRORS, AttributeError, TypeError, ValueError, KeyError):
        raise Malformed from None
    entities = body.get("entities")
    if isinstance(entities, list):
        activity.entities = [_entity(each) for each in entities if isinstance(each, dict)]
    return activity


def _entity(body: Json) -> _OpenEntity:
    rest = {key: value for key, value in body.items() if key != "type"}
    return _OpenEntity(type=body.get("type"), additional_properties=rest)


def _id_of(answer: object) -> str:
    found = getattr(answer, "id", None)
    return found if isinstance(found, str) else ""


async def _guarded(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except SDK_ERRORS:
        raise BrokenAnswer from None


class _Authentication(BotFrameworkAuthentication):  # type: ignore[misc]
    """Refuses everything: ``adapters.teams.auth.verifier`` verifies senders."""

    def __init__(self, client: Callable[[str], ConnectorClient]) -> None:
        self._client = client

    async def authenticate_request(
        self, activity: Activity, auth_header: str
    ) -> AuthenticateRequestResult:
        raise PermissionError

    async def authenticate_streaming_request(
        self, auth_header: str, channel_id_header: str
    ) -> AuthenticateRequestResult:
        raise PermissionError

    def create_connector_factory(self, claims_identity: ClaimsIdentity) -> ConnectorFactory:
        return _Clients(self._client)

    async def create_user_token_client(self, claims_identity: ClaimsIdentity) -> None:
        return None


class _Clients(ConnectorFactory):  # type: ignore[misc]
    def __init__(self, client: Callable[[str], ConnectorClient]) -> None:
        self._client = client

    async def create(self, service_url: str, audience: str | None = None) -> ConnectorClient:
        return self._client(service_url)


class _Sender(AsyncHTTPSender):  # type: ignore[type-arg]
    """aiohttp under botbuilder: no thread, no retry, no redirect that would carry the token."""

    def __init__(
        self, session: aiohttp.ClientSession, token: Callable[[], Awaitable[str]] | None
    ) -> None:
        self._session = session
        self._token = token

    async def __aexit__(self, *_: object) -> None:
        """Does nothing: the session belongs to the connector."""

    async def send(self, request: Any, **_: Any) -> Response[Any, Any]:
        call: ClientRequest = request.http_request
        headers = dict(call.headers)
        if self._token is not None:
            headers["Authorization"] = f"Bearer {await self._token()}"
        async with self._session.request(
            call.method, call.url, data=call.data, headers=headers, allow_redirects=False
        ) as response:
            body = await response.content.read(_MAX_ANSWER)
            while not response.content.at_eof() and len(body) < _MAX_ANSWER:
                body += await response.content.read(_MAX_ANSWER)
        answer = _Answer(call, response, body)
        if response.status not in (200, 201, 202):
            raise refusal_of(response.status, response.headers, answer.json())
        return Response(request, answer)


class _Answer(AsyncClientResponse):
    def __init__(self, request: Any, response: aiohttp.ClientResponse, body: bytes) -> None:
        super().__init__(request, response)
        self.status_code = response.status
        self.headers = CIMultiDict(response.headers)
        self.reason = response.reason
        self._body = body

    def body(self) -> bytes:
        return self._body

    def json(self) -> object:
        try:
            return json.loads(self._body)
        except ValueError:
            return None
