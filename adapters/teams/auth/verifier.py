"""Who sent an activity: Microsoft's token is verified here, and nowhere else.

botbuilder answers bad tokens with 500, accepts ones that never expire, and refuses a new signing
key for a day; so none of this is left to it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
from jwt.types import Options
from yarl import URL

from bot.adapter_support.addresses import is_loopback_url
from bot.adapter_support.payloads import Payload, items_of
from bot.errors import Unavailable
from bot.ports import Clock

logger = logging.getLogger(__name__)

_MAX_AGE = 12 * 3600.0
_MIN_AGE = 60.0
"""Seconds between two fetches for unknown keys: anybody may name one."""

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MAX_BODY = 1024 * 1024

ISSUER = "https://api.botframework.com"
_SKEW = 300.0
"""Seconds by which Microsoft's clock and ours may differ."""

_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.IGNORECASE)
_MAX_TOKEN = 16_384
_OPTIONS: Options = {
    "verify_aud": False,  # all four by ourselves: by the clock we are given, and 403 or 401
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class InvalidToken(Exception):
    """The sender is not verified; ``status`` is 401 or 403."""

    def __init__(self, why: str, status: int = 401) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """The claims of a valid token, and the key that signed it."""

    claims: Payload
    key: SigningKey

    def check(self, activity: Payload) -> None:
        """Raises ``InvalidToken`` for another address than the token's, or a channel that its
        key does not endorse."""
        claimed = self.claims.get("serviceurl", self.claims.get("serviceUrl"))
        service_url = activity.get("serviceUrl")
        if not isinstance(claimed, str) or not isinstance(service_url, str):
            raise InvalidToken("the token names no service", 403)
        if claimed.rstrip("/") != service_url.rstrip("/"):
            raise InvalidToken("the token is for another service", 403)
        if activity.get("channelId") not in self.key.endorsements:
            raise InvalidToken("the key does not endorse this channel", 403)


class TokenVerifier:
    """Verifies tokens for the app ``app_id``."""

    def __init__(self, app_id: str, keys: SigningKeys, clock: Clock) -> None:
        self._app_id = app_id
        self._keys = keys
        self._clock = clock

    async def verify(self, header: str) -> VerifiedClaims:
        """Raises ``InvalidToken``, and ``Unavailable`` while the keys cannot be fetched."""
        token = _token_of(header)
        key = await self._key_of(token)
        claims = _verified(token, key)
        self._check_audience(claims)
        self._check_time(claims)
        return VerifiedClaims(claims, key)

    async def _key_of(self, token: str) -> SigningKey:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise InvalidToken("the token is garbage") from None
        key_id = header.get("kid")
        if header.get("alg") != "RS256" or not isinstance(key_id, str) or "crit" in header:
            raise InvalidToken("the token is signed in another way")
        key = await self._keys.find(key_id)
        if key is None:
            raise InvalidToken("the token's key is unknown")
        return key

    def _check_audience(self, claims: Payload) -> None:
        if claims.get("iss") != ISSUER:
            raise InvalidToken("the token is of another issuer")
        if claims.get("aud") != self._app_id:
            raise InvalidToken("the token is for another app", 403)

    def _check_time(self, claims: Payload) -> None:
        now = self._clock.now().timestamp()
        expires, begins = _number(claims.get("exp")), _number(claims.get("nbf", 0))
        if expires is None or begins is None:
            raise InvalidToken("the token does not say how long it is good")
        if now >= expires + _SKEW:
            raise InvalidToken("the token has expired")
        if now < begins - _SKEW:
            raise InvalidToken("the token is not good yet")


def _token_of(header: str) -> str:
    match = _BEARER.fullmatch(header.strip()) if len(header) <= _MAX_TOKEN else None
    if match is None:
        raise InvalidToken("there is no token")
    return match[1]


def _verified(token: str, key: SigningKey) -> Payload:
    try:
        claims: Payload = jwt.decode(token, key.key, algorithms=["RS256"], options=_OPTIONS)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise InvalidToken("the token's signature is wrong") from None
    return claims


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """``endorsements``: the channels whose activities this key may sign."""

    key: Any
    endorsements: frozenset[str]


class SigningKeys:
    """The keys that Microsoft signs with, fetched once for all who wait.

    Old ones are used while none can be fetched; they are fetched anew when one is unknown.
    """

    def __init__(self, metadata_url: str, clock: Clock) -> None:
        self._metadata_url = metadata_url
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> SigningKey | None:
        """None if Microsoft has no such key. Raises ``Unavailable`` if none can be fetched."""
        if key_id not in self._keys or self._is_older(self._fetched_at, _MAX_AGE):
            async with self._lock:
                await self._renew(key_id)
        return self._keys.get(key_id)

    async def _renew(self, key_id: str) -> None:
        is_known = key_id in self._keys
        if is_known and not self._is_older(self._fetched_at, _MAX_AGE):
            return
        if self._keys and not self._is_older(self._tried_at, _MIN_AGE):
            return
        self._tried_at = self._clock.monotonic()
        try:
            self._keys = await self._fetch()
            self._fetched_at = self._clock.monotonic()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, jwt.PyJWTError) as error:
            logger.warning("Microsoft's signing keys cannot be had: %s", type(error).__name__)
            if not is_known:
                self._tried_at = None
                raise Unavailable("The keys cannot be fetched.", ambiguous=False) from None

    def _is_older(self, moment: float | None, seconds: float) -> bool:
        return moment is None or self._clock.monotonic() - moment >= seconds

    async def _fetch(self) -> dict[str, SigningKey]:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            metadata = await _get(session, self._metadata_url)
            address = str(metadata.get("jwks_uri", ""))
            if not self._is_trusted(address):
                raise ValueError("the keys are said to be somewhere else")
            return _read_keys(await _get(session, address))

    def _is_trusted(self, address: str) -> bool:
        """True on the host of the metadata only."""
        here, there = URL(self._metadata_url), URL(address)
        is_safe = there.scheme == "https" or is_loopback_url(address)
        return is_safe and (here.host, here.port) == (there.host, there.port)


async def _get(session: aiohttp.ClientSession, url: str) -> Payload:
    async with session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        body = await response.content.read(_MAX_BODY)
        while not response.content.at_eof() and len(body) < _MAX_BODY:
            body += await response.content.read(_MAX_BODY - len(body))
    found = json.loads(body)
    if not isinstance(found, Mapping):
        raise ValueError("not an object")
    return found


def _read_keys(jwks: Payload) -> dict[str, SigningKey]:
    """A key of another kind or without id is left out: only RSA signs these tokens."""
    keys: dict[str, SigningKey] = {}
    for entry in items_of(jwks, "keys"):
        key_id = entry.get("kid") if isinstance(entry, dict) else None
        if isinstance(key_id, str) and entry.get("kty") == "RSA":
            endorsements = frozenset(map(str, entry.get("endorsements") or ()))
            keys[key_id] = SigningKey(jwt.PyJWK(entry, algorithm="RS256").key, endorsements)
    if not keys:
        raise ValueError("no keys")
    return keys
