"""REST calls: one in flight per channel, never cancelled; they raise only ``PlatformError``.

discord.py waits out rate limits and retries after most 5xx by itself. Cancelling a call while
it does so would leave its locks held for good, so each call runs in a task of its own, and a
cancelled caller only stops waiting for that task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
from discord.http import Route
from discord.webhook.async_ import async_context

from adapters.discord.api.client import ParleyClient, no_redirects
from bot.adapter_support.addresses import web_address
from bot.adapter_support.payloads import Json
from bot.errors import Unavailable

Request = Callable[[], Awaitable[Any]]
Translated = Callable[[str], AbstractContextManager[None]]
"""Around the call of this name: counts how it ended, raises only ``PlatformError``."""

NO_HISTORY = 160002
THREAD_EXISTS = 160004
ARCHIVED = 50083
ALREADY_ACKNOWLEDGED = 40060

_CLOSE_SECONDS = 2.0
_FILE_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})


class Rest:
    """``api_url``: a test server, which serves files too; empty for Discord."""

    def __init__(
        self, client: ParleyClient, translated: Translated, call_timeout: float, api_url: str
    ) -> None:
        self._client = client
        self._translated = translated
        self._file_hosts = _FILE_HOSTS | ({_host(api_url)} if api_url else set())
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._calls: set[asyncio.Task[Any]] = set()
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=call_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[no_redirects()],
        )

    @property
    def application_id(self) -> str:
        return str(self._client.application_id or "")

    async def call(
        self,
        verb: str,
        path: str,
        *,
        body: Json | list[Json] | None = None,
        form: list[Json] | None = None,
        query: Json | None = None,
        **ids: Any,
    ) -> Any:
        """``path`` as in Discord's reference; ``ids`` fill it in. Raises ``PlatformError``."""
        route = Route(verb, path, **ids)
        options = {"json": body, "form": form, "params": query}
        given: Json = {key: value for key, value in options.items() if value is not None}

        async def request() -> Any:
            return await self._client.http.request(route, **given)

        return await self._run(route, ids.get("channel_id"), request)

    async def answer(
        self,
        verb: str,
        path: str,
        *,
        body: Json | None = None,
        query: Json | None = None,
        **ids: Any,
    ) -> Any:
        """A call authorised by an interaction's token alone, without the bot's."""
        route = Route(verb, path, **ids)

        async def request() -> Any:
            adapter = async_context.get()
            return await adapter.request(route, session=self._session, payload=body, params=query)

        return await self._run(route, ids.get("webhook_token"), request)

    async def fetch(self, url: str, max_size: int) -> bytes:
        """A file of Discord's file servers, without any token. Raises ``PlatformError``."""
        if _host(url) not in self._file_hosts:
            raise Unavailable("The file is not on Discord's servers.", ambiguous=False)
        data: bytes = await self._shielded(self._fetch(url, max_size))
        return data

    async def close(self) -> None:
        """Calls in flight get a moment to end."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=_CLOSE_SECONDS)
        for call in self._calls:
            call.cancel()
        await self._session.close()

    async def _run(self, route: Route, lane: str | None, request: Request) -> Any:
        name = f"{route.method} {route.path}"
        return await self._shielded(self._in_lane(name, lane or name, request))

    async def _in_lane(self, name: str, lane: str, request: Request) -> Any:
        lock = self._lanes.setdefault(lane, asyncio.Lock())
        async with lock:
            with self._translated(name):
                found = await request()
        if isinstance(found, str) and found:
            raise Unavailable(f"{name}: Discord's answer is none.", ambiguous=True)
        return found

    async def _shielded(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.ensure_future(work)
        self._calls.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        """Retrieve the exception, or asyncio would log one that nobody awaits any more."""
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()

    async def _fetch(self, url: str, max_size: int) -> bytes:
        with self._translated("GET attachment"):
            async with self._session.get(url) as answer:
                if answer.status != 200:
                    raise Unavailable(f"The file answers {answer.status}.", ambiguous=False)
                data = bytearray()
                async for piece in answer.content.iter_chunked(65_536):
                    data += piece
                    if len(data) > max_size:
                        raise Unavailable("The file is too large.", ambiguous=False)
                return bytes(data)


def id_of(found: object) -> str:
    """The id in Discord's answer. Raises ``Unavailable`` where it has none."""
    if isinstance(found, dict) and str(found.get("id", "")).isdigit():
        return str(found["id"])
    raise Unavailable("Discord's answer lacks an id.", ambiguous=True)


def _host(url: str) -> str:
    address = web_address(url)
    return (address.host if address else "") or ""
