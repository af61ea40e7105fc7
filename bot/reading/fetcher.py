"""One request for an address that was checked, within limits of time and size.

Nothing goes along that says who asks: no cookies, no referrer, no credentials; and no proxy of
the environment is used. A redirect is an answer like others, whose address is to be checked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bot import __version__
from bot.reading.addresses import AddressRules
from bot.reading.page import PageFailed, PageRefused
from bot.reading.resolver import CheckedResolver, Lookup

ROBOT = "Parley"
"""The name by which a site's robots.txt knows Parley."""

MAX_BYTES = 8 * 1024 * 1024

_HEADERS = {
    "User-Agent": f"{ROBOT}/{__version__} (a chat bot; reads what a person asks it about)",
    "Accept": "text/html, application/xhtml+xml, application/rss+xml, application/atom+xml, "
    "application/pdf;q=0.9, text/*;q=0.9, */*;q=0.5",
    "Accept-Encoding": "gzip, deflate",
}
_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=8, sock_connect=5, sock_read=10)
_LOOK_UP_SECONDS = 0.5
_MAX_HEADER = 16 * 1024
_AT_ONCE, _AT_ONCE_PER_HOST = 16, 4


@dataclass(frozen=True, slots=True)
class Fetched:
    """``headers``: in any case of letters, the lines of one name joined. ``data``: unpacked; empty
    unless the status is 200.
    """

    url: URL
    status: int
    headers: Mapping[str, str]
    data: bytes


class Fetcher:
    """``timeout`` and ``look_up`` (see ``CheckedResolver``) are for tests."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
        look_up: Lookup = socket.getaddrinfo,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._timeout = timeout
        self._look_up = look_up
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(self._rules, self._look_up),
            use_dns_cache=False,
            limit=_AT_ONCE,
            limit_per_host=_AT_ONCE_PER_HOST,
            ssl=self._tls or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=self._timeout,
            trust_env=False,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(
        self,
        url: URL,
        headers: Mapping[str, str] | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        cuts: bool = False,
    ) -> Fetched:
        """``url``: as ``AddressRules.check`` gave it. ``cuts``: what is too long ends early.

        Raises ``PageRefused``.
        """
        if self._session is None:
            raise PageFailed("Parley is not ready to read pages.")
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                data = b""
                if response.status == 200:
                    data = await _body(response, max_bytes, cuts=cuts)
                return Fetched(url, response.status, _joined(response.headers), data)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise PageFailed(_why(error, url.host or "")) from None


async def _body(response: aiohttp.ClientResponse, max_bytes: int, *, cuts: bool) -> bytes:
    """What is packed is unpacked by aiohttp, a piece at a time and no faster than it is taken."""
    host, content = response.url.host, response.content
    too_large = PageRefused(
        f"What {host} sends is too large for me: at most {max_bytes // 1024 // 1024} MB."
    )
    if (response.content_length or 0) > max_bytes and not cuts:
        raise too_large
    data = bytearray()
    while not content.at_eof():
        data += await _next_piece(content)
        if max(len(data), content.total_raw_bytes) > max_bytes:
            if cuts:
                break
            raise too_large
    del data[max_bytes:]
    return bytes(data)


async def _next_piece(content: aiohttp.StreamReader) -> bytes:
    """Empty after a moment in which nothing came, or only what unpacks to nothing."""
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS) as moment:
            return await content.readany()
    except TimeoutError:
        if not moment.expired():
            raise
        return b""


def _joined(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict({name: ", ".join(headers.getall(name)) for name in headers})


def _why(error: Exception, host: str) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"{host} has no certificate that I trust."
        case aiohttp.ClientConnectorSSLError():
            return f"{host} does not answer by HTTPS as it should."
        case TimeoutError():
            return f"{host} takes too long to answer."
        case aiohttp.ClientConnectorError():
            return f"{host} cannot be reached."
        case aiohttp.ClientPayloadError():
            return f"{host} breaks off in the middle, or sends what cannot be unpacked."
    return f"{host} does not answer as a web server should."
