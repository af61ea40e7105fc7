"""The token that the bot's own calls carry: where it comes from, and how it is renewed in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp

from bot.adapter_support.payloads import Payload, text_of
from bot.ports import Clock

logger = logging.getLogger(__name__)

_AHEAD = 300.0
_RETRY_SECONDS = 30.0
_REFUSALS = (400, 401, 403)
_TIMEOUT = aiohttp.ClientTimeout(total=10)

RESOURCE = "https://api.botframework.com"
_SCOPE = f"{RESOURCE}/.default"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class NoToken(Exception):
    """The identity provider refuses the bot; the text is the reason it gives."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A POST of ``form``, or a GET with ``query`` if there is none."""

    url: str
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class TokenSource(Protocol):
    """How the bot asks for its own token."""

    def request(self) -> TokenRequest:
        """May read a file; raises ``OSError`` if it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A single-tenant app and its client secret."""

    url: str
    app_id: str
    password: str = field(repr=False)

    def request(self) -> TokenRequest:
        return TokenRequest(self.url, form=_form(self.app_id) | {"client_secret": self.password})


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """The identity of a virtual machine, whose metadata service gives the token."""

    url: str
    app_id: str

    def request(self) -> TokenRequest:
        query = {"api-version": "2018-02-01", "resource": RESOURCE, "client_id": self.app_id}
        return TokenRequest(self.url, query=query, headers={"Metadata": "true"})


@dataclass(frozen=True, slots=True)
class AppServiceIdentity:
    """The identity of App Service, Functions and Container Apps: a local service gives the token
    to requests with a header."""

    url: str
    app_id: str
    header: str = field(repr=False)

    def request(self) -> TokenRequest:
        query = {"api-version": "2019-08-01", "resource": RESOURCE, "client_id": self.app_id}
        return TokenRequest(self.url, query=query, headers={"X-IDENTITY-HEADER": self.header})


@dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """The identity of a Kubernetes workload: the token in a file, which Kubernetes renews, is
    exchanged for the bot's."""

    url: str
    app_id: str
    path: Path

    def request(self) -> TokenRequest:
        assertion = self.path.read_text(encoding="utf-8").strip()
        proof = {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        return TokenRequest(self.url, form=_form(self.app_id) | proof)


def _form(app_id: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": app_id, "scope": _SCOPE}


class Credentials:
    """One fetch serves all callers that wait. Within five minutes of its expiry a token is renewed
    in the background, and calls still carry the old one.
    """

    def __init__(self, source: TokenSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._token = ""
        self._ends_at = 0.0
        self._try_at = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """Raises ``NoToken`` if the bot is refused, and aiohttp's errors."""
        now = self._clock.monotonic()
        if not self._token or now >= self._ends_at:
            await asyncio.shield(self._begin())
        elif now >= max(self._ends_at - _AHEAD, self._try_at):
            self._begin()
        return self._token

    def discard(self) -> None:
        """The service has refused this token: the next call fetches another."""
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
        request = await asyncio.to_thread(self._source.request)
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            answer = await _ask(session, request)
        token = text_of(answer, "access_token")
        if not token:
            raise aiohttp.ClientPayloadError("the answer holds no token")
        self._token, self._ends_at = token, asked_at + self._lifetime(answer)

    def _lifetime(self, answer: Payload) -> float:
        """App Service gives the time of expiry only."""
        if "expires_in" in answer:
            return _seconds(answer["expires_in"])
        return _seconds(answer.get("expires_on")) - self._clock.now().timestamp()


async def _ask(session: aiohttp.ClientSession, request: TokenRequest) -> Payload:
    async with session.request(
        "POST" if request.form else "GET",
        request.url,
        params=request.query,
        data=request.form or None,
        headers=request.headers,
        allow_redirects=False,
    ) as response:
        return await _answer(response)


async def _answer(response: aiohttp.ClientResponse) -> Payload:
    try:
        body = await response.json(content_type=None)
    except ValueError:
        body = None
    table: Payload = body if isinstance(body, Mapping) else {}
    if response.status in _REFUSALS:
        raise NoToken(str(table.get("error", f"http_{response.status}"))[:64])
    if response.status != 200:
        raise aiohttp.ClientPayloadError(f"status {response.status}")
    return table


def _seconds(value: object) -> float:
    """Entra writes a number, the metadata services a text."""
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _note_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.warning("no token for Teams: %s", type(error).__name__)
