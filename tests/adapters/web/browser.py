"""A browser as far as the server meets it: cookies, JSON, and an EventSource that comes back."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Self

import aiohttp

from adapters.web.owners import OWNER_COOKIE
from bot.chats import Owner

SOON = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def sentence(self) -> str:
        return str(self.json["error"]["message"])


class Browser:
    """``owner`` is whose chats it shows, once it has loaded."""

    def __init__(self, url: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.url = url
        self.sources: list[EventSource] = []
        self.session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), headers=headers
        )

    async def load(self) -> Reply:
        return await self.get("/page/state")

    @property
    def cookies(self) -> dict[str, str]:
        return {each.key: each.value for each in self.session.cookie_jar}

    @property
    def owner(self) -> Owner:
        secret = self.cookies[OWNER_COOKIE]
        return Owner("local", hashlib.sha256(secret.encode()).hexdigest()[:32])

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: object = None, **options: Any) -> Reply:
        return await self.call("POST", path, json={} if body is None else body, **options)

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        async with self.session.request(method, f"{self.url}{path}", **options) as response:
            return Reply(response.status, response.headers, await response.text())

    async def ask(self, text: str, chat: str = "new") -> tuple[str, str]:
        """The ids of the chat and of the turn."""
        reply = await self.post(f"/page/chats/{chat}/turns", {"text": text})
        assert reply.status == 200, reply.text
        return reply.json["chat"], reply.json["turn"]["id"]

    async def watch(self, chat: str | None = None, **query: str) -> EventSource:
        source = EventSource(self, {"chat": chat, **query} if chat else query)
        self.sources.append(source)
        await source.connect()
        return source

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for source in self.sources:
            source.cut()
        await self.session.close()


@dataclass
class Event:
    name: str
    id: str
    data: Any = field(repr=False)


class EventSource:
    """Remembers the last id, and ``connect`` says it when it comes back."""

    def __init__(self, browser: Browser, query: Mapping[str, str]) -> None:
        self._browser = browser
        self._query = query
        self._response: aiohttp.ClientResponse | None = None
        self.last_id = ""
        self.num_comments = 0

    async def connect(self) -> int:
        self.cut()
        headers = {"Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        url = f"{self._browser.url}/page/events"
        self._response = await self._browser.session.get(url, params=self._query, headers=headers)
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        assert self._response
        return self._response.headers

    @property
    def num_bytes(self) -> int:
        """Read, or waiting to be."""
        assert self._response
        return self._response.content.total_bytes

    def cut(self) -> None:
        """The connection is gone, all at once."""
        if self._response:
            self._response.close()

    async def next(self) -> Event:
        return await asyncio.wait_for(self._next(), SOON)

    async def until(self, name: str) -> Event:
        while (found := await self.next()).name != name:
            pass
        return found

    async def end(self) -> bytes:
        """What still comes until the server ends it."""
        assert self._response
        return await asyncio.wait_for(self._response.content.read(), SOON)

    async def _next(self) -> Event:
        assert self._response
        fields: dict[str, str] = {}
        while line := (await self._response.content.readline()).decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if line == ":\n":
                self.num_comments += 1
            elif line != "\n":
                fields[name] = value
            elif "data" in fields:
                self.last_id = fields["id"]
                return Event(fields["event"], fields["id"], json.loads(fields["data"]))
            else:
                fields.clear()
        raise ConnectionError("The stream has ended.")
