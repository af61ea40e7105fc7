"""Who sent an activity: Microsoft's token is checked here, and nowhere else.

botbuilder answers bad tokens with 500, takes ones that never expire, and refuses a new signing
key for a day; so nothing of this is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.types import Options

from adapters.teams.keys import SigningKey, SigningKeys
from bot.ports import Clock

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


class NotProven(Exception):
    """The sender is not who they would have to be; ``status`` is 401 or 403."""

    def __init__(self, why: str, status: int = 401) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a good token says of the activity that came with it."""

    claims: Mapping[str, Any]
    key: SigningKey

    def check(self, activity: Mapping[str, Any]) -> None:
        """Raises ``NotProven`` for another address than the token's, or a channel that its
        key may not vouch for."""
        claimed = self.claims.get("serviceurl", self.claims.get("serviceUrl"))
        service_url = activity.get("serviceUrl")
        if not isinstance(claimed, str) or not isinstance(service_url, str):
            raise NotProven("the token names no service", 403)
        if claimed.rstrip("/") != service_url.rstrip("/"):
            raise NotProven("the token is for another service", 403)
        if activity.get("channelId") not in self.key.endorsements:
            raise NotProven("the key does not endorse this channel", 403)


class Proof:
    """Checks tokens for the app ``app_id``."""

    def __init__(self, app_id: str, keys: SigningKeys, clock: Clock) -> None:
        self._app_id = app_id
        self._keys = keys
        self._clock = clock

    async def check(self, header: str) -> Vouched:
        """Raises ``NotProven``, and ``Unavailable`` while the keys cannot be had."""
        token = _token_of(header)
        key = await self._key_of(token)
        claims = _verified(token, key)
        self._check_audience(claims)
        self._check_time(claims)
        return Vouched(claims, key)

    async def _key_of(self, token: str) -> SigningKey:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise NotProven("the token is garbage") from None
        key_id = header.get("kid")
        if header.get("alg") != "RS256" or not isinstance(key_id, str) or "crit" in header:
            raise NotProven("the token is signed in another way")
        key = await self._keys.find(key_id)
        if key is None:
            raise NotProven("the token's key is unknown")
        return key

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != ISSUER:
            raise NotProven("the token is of another issuer")
        if claims.get("aud") != self._app_id:
            raise NotProven("the token is for another app", 403)

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now().timestamp()
        expires, begins = _number(claims.get("exp")), _number(claims.get("nbf", 0))
        if expires is None or begins is None:
            raise NotProven("the token does not say how long it is good")
        if now >= expires + _SKEW:
            raise NotProven("the token has expired")
        if now < begins - _SKEW:
            raise NotProven("the token is not good yet")


def _token_of(header: str) -> str:
    match = _BEARER.fullmatch(header.strip()) if len(header) <= _MAX_TOKEN else None
    if match is None:
        raise NotProven("there is no token")
    return match[1]


def _verified(token: str, key: SigningKey) -> Mapping[str, Any]:
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token, key.key, algorithms=["RS256"], options=_OPTIONS
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise NotProven("the token's signature is wrong") from None
    return claims


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
