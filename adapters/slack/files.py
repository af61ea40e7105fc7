"""Files that people attach: fetched from Slack's own hosts only, up to a size.

The bot token goes with each request, so a redirect is followed only where that host is Slack's,
too. Without the scope ``files:read`` Slack answers 200 with its sign-in page, which its bytes
tell from a file.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from yarl import URL

from adapters.slack.api.errors import translated
from adapters.slack.api.settings import SlackSettings
from adapters.slack.reading.content import is_only_an_id
from bot.adapter_support.connection import Observe, retry_after
from bot.adapter_support.payloads import Payload, table_of, tables_of, text_of
from bot.errors import (
    FileRefused,
    MessageGone,
    PlatformError,
    PlatformRefused,
    RateLimited,
    Unavailable,
)
from bot.types import Attachment

logger = logging.getLogger(__name__)

_METHOD = "fetch"
_CHUNK = 64 * 1024
_MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_LOOK_UP_SECONDS = 1.0
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)", re.I | re.S)
_LACKING = "my Slack app lacks the scope files:read, which whoever runs me can add."

LookUp = Callable[[str], Awaitable[Payload]]


class SlackFiles:
    def __init__(self, settings: SlackSettings, observe: Observe, timeout: float) -> None:
        self._headers = {"Authorization": f"Bearer {settings.bot_token}"}
        self._own_address = settings.own_address
        self._observe = observe
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._uses_proxy = not settings.is_loopback

    async def fetch(self, attachment: Attachment, max_size: int) -> bytes:
        """Raises ``FileRefused`` where the app may read no files, and other ``PlatformError``."""
        session = aiohttp.ClientSession(
            timeout=self._timeout, trust_env=self._uses_proxy, cookie_jar=aiohttp.DummyCookieJar()
        )
        with translated(_METHOD, self._observe):
            async with session:
                data = await self._follow(session, attachment.url, max_size)
        if _HTML.match(data) and len(data) != attachment.size:
            raise self._lacking_scope()
        return data

    async def _follow(self, session: aiohttp.ClientSession, address: str, max_size: int) -> bytes:
        for _ in range(_MAX_REDIRECTS + 1):
            url = self._checked(address)
            async with session.get(url, headers=self._headers, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await self._read(response, max_size)
                address = str(url.join(URL(response.headers.get("Location", ""))))
        raise PlatformRefused(_METHOD, "too_many_redirects")

    def _checked(self, address: str) -> URL:
        url = self._own_address(address)
        if url is None:
            raise PlatformRefused(_METHOD, "foreign_host")
        return url

    async def _read(self, response: aiohttp.ClientResponse, max_size: int) -> bytes:
        if response.status != 200:
            raise self._refusal(response)
        found = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            found += chunk
            if len(found) > max_size:
                raise PlatformRefused(_METHOD, "too_large")
        return bytes(found)

    def _refusal(self, response: aiohttp.ClientResponse) -> PlatformError:
        match response.status:
            case 401 | 403:
                return self._lacking_scope()
            case 404 | 410:
                return MessageGone("The file is gone.")
            case 429:
                return RateLimited(_METHOD, retry_after(response.headers.get("Retry-After")))
            case status if status >= 500:
                return Unavailable(f"The file answers {status}.", ambiguous=False)
        return PlatformRefused(_METHOD, f"http_{response.status}")

    def _lacking_scope(self) -> FileRefused:
        logger.warning(
            "Slack gave its sign-in page in place of a file: add the scope files:read to the app "
            "(`python -m bot slack manifest`) and install it again."
        )
        return FileRefused(_METHOD, "sign_in_page", _LACKING)


async def with_files(delivery: Payload, look_up: LookUp) -> Payload:
    """Files of other workspaces (Slack Connect) come as an id only: with what they are.

    Those that cannot be looked up in a moment stay as they are.
    """
    event = table_of(delivery, "event")
    key = "message" if table_of(event, "message") else ""
    message = table_of(event, "message") or event
    ids = [text_of(file, "id") for file in tables_of(message, "files") if is_only_an_id(file)]
    found = await _looked_up(ids, look_up) if ids else {}
    if not found:
        return delivery
    files = [found.get(text_of(file, "id"), file) for file in tables_of(message, "files")]
    message = {**message, "files": files}
    return {**delivery, "event": {**event, key: message} if key else message}


async def _looked_up(ids: list[str], look_up: LookUp) -> Mapping[str, Any]:
    found: dict[str, Payload] = {}

    async def learn(file_id: str) -> None:
        try:
            found[file_id] = table_of(await look_up(file_id), "file")
        except PlatformError as error:
            logger.warning("a file of another workspace could not be looked up: %s", error)

    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            await asyncio.gather(*map(learn, ids))
    except TimeoutError:
        logger.warning("a file of another workspace could not be looked up in time")
    return {file_id: file for file_id, file in found.items() if file}
