"""A web server on this machine, and a reader that may read it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.documents.reader import DocumentReader
from bot.metrics import Metrics
from bot.reading.addresses import AddressRules
from bot.reading.fetcher import Fetcher
from bot.reading.page import Page
from bot.reading.reader import PageReader
from bot.reading.robots import Robots
from tests.fakes.clock import FakeClock

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """``pages``: what stands at a path; text, or what answers. ``asked``: the requests so far."""

    def __init__(
        self, pages: Mapping[str, str | Answer], tls: ssl.SSLContext | None = None
    ) -> None:
        self.pages = dict(pages)
        self.asked: list[web.Request] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._tls = tls
        self._server = TestServer(app)

    @property
    def host(self) -> str:
        """With its port, as ``PARLEY_FETCH_ALLOW`` names it."""
        return f"127.0.0.1:{self._port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.asked]

    def url(self, path: str = "/") -> str:
        return f"http://{self.host}{path}"

    async def __aenter__(self) -> Site:
        await self._server.start_server(ssl=self._tls)
        self._port = self._server.port
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404)
        return web.Response(text=page) if isinstance(page, str) else await page(request)


def answering(**given: Any) -> Answer:
    """Always with such a ``web.Response``."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(**given)

    return answer


def sending_on(location: str, status: int = 302) -> Answer:
    return answering(status=status, headers={"Location": location})


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_site(handle: Handle | bytes) -> AsyncIterator[str]:
    """A server that says just these bytes, or does what it likes; its host and port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if isinstance(handle, bytes):
                writer.write(handle)
                await writer.drain()
            else:
                await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Readers:
    """Makes readers that are closed when the test ends, on one clock and one set of metrics."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()

    @asynccontextmanager
    async def reader(
        self,
        *allowed: str,
        robots: bool = False,
        documents: DocumentReader | None = None,
        **fetching: Any,
    ) -> AsyncIterator[PageReader]:
        rules = AddressRules.of(allowed)
        fetcher = Fetcher(rules, **fetching)
        reader = PageReader(
            fetcher,
            rules,
            self.clock,
            self.metrics,
            robots=Robots(fetcher, rules, self.clock) if robots else None,
            documents=documents,
        )
        async with reader:
            yield reader

    def count(self, outcome: str) -> float:
        return (
            self.metrics.registry.get_sample_value("parley_pages_total", {"outcome": outcome})
            or 0.0
        )


async def read(reader: PageReader, address: str) -> Page:
    return await reader.read(address, lambda told: None)
