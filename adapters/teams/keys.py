"""The keys that Microsoft signs with: fetched without blocking, renewed when one is unknown."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
from yarl import URL

from adapters.teams.hosts import is_loopback_url
from bot.errors import Unavailable
from bot.ports import Clock

logger = logging.getLogger(__name__)

_MAX_AGE = 12 * 3600.0
_MIN_AGE = 60.0
"""Seconds between two fetches for keys that are unknown: anybody may claim to have one."""

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SigningKey:
    """``endorsements``: the channels whose activities this key may vouch for."""

    key: Any
    endorsements: frozenset[str]


class SigningKeys:
    """Fetched once however many ask at the same time; old ones serve while none can be had."""

    def __init__(self, metadata_url: str, clock: Clock) -> None:
        self._metadata_url = metadata_url
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> SigningKey | None:
        """None if Microsoft has no such key. Raises ``Unavailable`` if it cannot be asked."""
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
        """On the host of the metadata: who can forge that answer needs no other host."""
        here, there = URL(self._metadata_url), URL(address)
        is_safe = there.scheme == "https" or is_loopback_url(address)
        return is_safe and (here.host, here.port) == (there.host, there.port)


async def _get(session: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
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


def _read_keys(jwks: Mapping[str, Any]) -> dict[str, SigningKey]:
    """A key of another kind or without id is left out: only RSA signs these tokens."""
    entries = jwks.get("keys")
    keys: dict[str, SigningKey] = {}
    for entry in entries if isinstance(entries, list) else []:
        key_id = entry.get("kid") if isinstance(entry, dict) else None
        if isinstance(key_id, str) and entry.get("kty") == "RSA":
            endorsements = frozenset(map(str, entry.get("endorsements") or ()))
            keys[key_id] = SigningKey(jwt.PyJWK(entry, algorithm="RS256").key, endorsements)
    if not keys:
        raise ValueError("no keys")
    return keys
