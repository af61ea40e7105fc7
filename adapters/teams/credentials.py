"""The token that the bot's own calls carry: cached, and renewed ahead of its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp

from adapters.teams.errors import NoToken
from adapters.teams.grants import Grant, TokenRequest
from bot.ports import Clock

logger = logging.getLogger(__name__)

_AHEAD = 300.0
_RETRY_SECONDS = 30.0
_REFUSALS = (400, 401, 403)
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Credentials:
    """One fetch serves all who wait. Within five minutes of its end a token is renewed beside
    the calls, which go on with the old one.
    """

    def __init__(self, grant: Grant, clock: Clock) -> None:
        self._grant = grant
        self._clock = clock
        self._token = ""
        self._ends_at = 0.0
        self._try_at = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """Raises ``NoToken`` if the bot is refused, else what aiohttp raises."""
        now = self._clock.monotonic()
        if not self._token or now >= self._ends_at:
            await asyncio.shield(self._begin())
        elif now >= max(self._ends_at - _AHEAD, self._try_at):
            self._begin()
        return self._token

    def discard(self) -> None:
        """The service does not take this token any more: the next call fetches another."""
        self._token = ""

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    def _begin(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._try_at = self._clock.monotonic() + _RETRY_SECONDS
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(_note_failure)
        return self._fetching

    async def _fetch(self) -> None:
        asked_at = self._clock.monotonic()
        request = await asyncio.to_thread(self._grant.request)
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            answer = await _ask(session, request)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token:
            raise aiohttp.ClientPayloadError("the answer holds no token")
        self._token, self._ends_at = token, asked_at + self._lifetime(answer)

    def _lifetime(self, answer: Mapping[str, Any]) -> float:
        """App Service says only until when a token is good."""
        if "expires_in" in answer:
            return _seconds(answer["expires_in"])
        return _seconds(answer.get("expires_on")) - self._clock.now().timestamp()


async def _ask(session: aiohttp.ClientSession, request: TokenRequest) -> Mapping[str, Any]:
    async with session.request(
        "POST" if request.form else "GET",
        request.url,
        params=request.query,
        data=request.form or None,
        headers=request.headers,
        allow_redirects=False,
    ) as response:
        return await _answer(response)


async def _answer(response: aiohttp.ClientResponse) -> Mapping[str, Any]:
    try:
        body = await response.json(content_type=None)
    except ValueError:
        body = None
    table = body if isinstance(body, Mapping) else {}
    if response.status in _REFUSALS:
        raise NoToken(str(table.get("error", f"http_{response.status}"))[:64])
    if response.status != 200:
        raise aiohttp.ClientPayloadError(f"status {response.status}")
    return table


def _seconds(value: object) -> float:
    """Entra writes a number, the services of machines a text."""
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _note_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.warning("no token for Teams: %s", type(error).__name__)
