"""Files that people attach: fetched from Microsoft's own hosts only, up to a size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp

from adapters.teams.errors import refusal_of
from adapters.teams.settings import is_trusted
from bot.adapter_support.addresses import web_address
from bot.errors import PlatformRefused

_STORES = (".sharepoint.com", ".sharepoint.us", ".sharepoint-mil.us")
"""Teams stores files there; their addresses are valid for minutes and need no token."""

_ATTACHMENTS = "/v3/attachments/"
_CHUNK = 64 * 1024

Token = Callable[[], Awaitable[str]]


class Files:
    """``token`` is sent only for attachments that the connector itself keeps (pictures in a
    message), on a host to which replies are sent, too."""

    def __init__(self, own_hosts: tuple[str, ...], token: Token | None, timeout: float) -> None:
        self._own_hosts = own_hosts
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def fetch(self, address: str, max_size: int) -> bytes:
        """Raises ``PlatformRefused`` and the errors that ``adapters.teams.errors`` maps."""
        headers = await self.headers_for(address)
        async with (
            aiohttp.ClientSession(timeout=self._timeout) as session,
            session.get(address, headers=headers, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise refusal_of(response.status, response.headers, None)
            return await _read(response, max_size)

    async def headers_for(self, address: str) -> dict[str, str]:
        """Raises ``PlatformRefused`` for a host that is not Microsoft's."""
        is_ours = is_trusted(address.partition("?")[0], self._own_hosts)
        if not (is_ours or _is_store(address)):
            raise PlatformRefused("fetch", "foreign_host")
        if is_ours and self._token is not None and _ATTACHMENTS in address:
            return {"Authorization": f"Bearer {await self._token()}"}
        return {}


async def _read(response: aiohttp.ClientResponse, max_size: int) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        found += chunk
        if len(found) > max_size:
            raise PlatformRefused("fetch", "too_large")
    return bytes(found)


def _is_store(address: str) -> bool:
    url = web_address(address)
    if url is None:
        return False
    is_plain = url.scheme == "https" and url.port == 443 and not (url.user or url.password)
    return is_plain and (url.host or "").endswith(_STORES)
