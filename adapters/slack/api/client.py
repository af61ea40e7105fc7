"""Slack's own client, and the methods of the Web API that Parley calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.api.errors import translated
from adapters.slack.api.settings import SlackSettings
from bot.adapter_support.connection import Observe
from bot.errors import PlatformRefused

SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "agents.sessions.setStatus": frozenset({"chat:write"}),
        "apps.connections.open": frozenset(),  # connections:write, of the app token
        "assistant.threads.setStatus": frozenset({"chat:write"}),
        "assistant.threads.setSuggestedPrompts": frozenset({"assistant:write"}),
        "assistant.threads.setTitle": frozenset({"assistant:write"}),
        "auth.test": frozenset(),
        "chat.appendStream": frozenset({"chat:write"}),
        "chat.delete": frozenset({"chat:write"}),
        "chat.postEphemeral": frozenset({"chat:write"}),
        "chat.postMessage": frozenset({"chat:write"}),
        "chat.startStream": frozenset({"chat:write"}),
        "chat.stopStream": frozenset({"chat:write"}),
        "chat.update": frozenset({"chat:write"}),
        "conversations.history": frozenset(
            {"channels:history", "groups:history", "im:history", "mpim:history"}
        ),
        "conversations.open": frozenset({"im:write"}),
        "conversations.replies": frozenset(
            {"channels:history", "groups:history", "im:history", "mpim:history"}
        ),
        "files.info": frozenset({"files:read"}),
        "reactions.add": frozenset({"reactions:write"}),
        "reactions.remove": frozenset({"reactions:write"}),
        "users.info": frozenset({"users:read"}),
        "views.open": frozenset(),
        "views.publish": frozenset(),
    }
)
"""Every method that is called, and the scopes that the app needs for it."""

_READING = frozenset({"conversations.history", "conversations.replies", "files.info", "users.info"})
"""These methods take no JSON."""

_RESPOND = "response_url"
_HEARTBEAT_SECONDS, _CLOSE_SECONDS = 10.0, 1.0


class SlackClient:
    """Slack's own client without its retries. Raises ``PlatformError`` only.

    The token goes to ``settings.api_url`` and nowhere else.
    """

    def __init__(self, settings: SlackSettings, observe: Observe, call_timeout: float) -> None:
        timeout = aiohttp.ClientTimeout(total=call_timeout, connect=call_timeout / 2)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        self._web = _PlainWebClient(
            token=settings.bot_token,
            base_url=settings.api_url,
            session=self._session,
            retry_handlers=[],
        )
        if settings.is_loopback:
            self._web.proxy = None
        self._observe = observe
        self._own_address = settings.own_address

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        assert method in SCOPES, method  # noqa: S101 - the manifest is made from SCOPES
        verb, form = ("GET", "params") if method in _READING else ("POST", "json")
        with translated(method, self._observe):
            response = await self._web.api_call(method, http_verb=verb, **{form: arguments})
        data: dict[str, Any] = response.data  # type: ignore[assignment]
        return data

    async def respond(self, url: str, body: Mapping[str, Any]) -> None:
        """Answer at a ``response_url``, which needs no token; Slack's own hosts only."""
        address = self._own_address(url)
        if address is None:
            raise PlatformRefused(_RESPOND, "foreign_host")
        with translated(_RESPOND, self._observe):
            async with self._session.post(
                address, json=body, allow_redirects=False, proxy=self._web.proxy
            ) as answer:
                if answer.status == 200:
                    return
        raise PlatformRefused(_RESPOND, f"http_{answer.status}")

    async def headers(self) -> Mapping[str, str]:
        """What Slack says beside each answer, such as the scopes of the token and its time."""
        with translated("auth.test", self._observe):
            response = await self._web.api_call("auth.test", http_verb="POST")
        headers: Mapping[str, str] = response.headers
        return headers

    async def open_websocket(self, url: str) -> aiohttp.ClientWebSocketResponse:
        """It ends by itself when Slack stops answering pings."""
        with translated("websocket", self._observe):
            return await self._session.ws_connect(
                url,
                heartbeat=_HEARTBEAT_SECONDS,
                proxy=self._web.proxy,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            )

    async def close(self) -> None:
        await self._session.close()


class _PlainWebClient(AsyncWebClient):
    """Never follows a redirect: text and token would go to a host nobody configured."""

    async def _request(
        self, *, http_verb: str, api_url: str, req_args: dict[str, Any]
    ) -> dict[str, Any]:
        result: dict[str, Any] = await super()._request(
            http_verb=http_verb,
            api_url=api_url,
            req_args={**req_args, "allow_redirects": False},
        )
        if not isinstance(result["data"], dict):
            result["data"] = {"ok": False}
        return result
