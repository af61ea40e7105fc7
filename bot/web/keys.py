"""API keys and passwords: who a caller is, by its ``Authorization`` header."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from bot.ports import LOCAL_ACCOUNT


def named_keys(entries: Iterable[str]) -> dict[str, str]:
    """Name -> secret, from ``name:secret`` or a plain secret, which gets a derived name."""
    keys: dict[str, str] = {}
    for entry in entries:
        name, colon, secret = entry.partition(":")
        if not (name and colon and secret):
            name, secret = derived_name(entry), entry
        keys[name] = secret
    return keys


def derived_name(secret: str) -> str:
    """A name that tells keys apart in usage tables and reveals nothing of the key."""
    return f"key-{hashlib.sha256(secret.encode()).hexdigest()[:6]}"


class Keys:
    """The secrets of the APIs; every comparison takes the same time.

    ``own`` is that of Parley's own commands on this machine; it does not count as a key that
    somebody set.
    """

    def __init__(
        self, api_keys: Mapping[str, str], basic_auth: Mapping[str, str], own: str = ""
    ) -> None:
        self._has_any = bool(api_keys or basic_auth)
        bearers = {**api_keys, LOCAL_ACCOUNT: own}
        self._bearers = {name: secret.encode() for name, secret in bearers.items()}
        self._logins = {
            name: f"{name}:{password}".encode() for name, password in basic_auth.items()
        }

    def __bool__(self) -> bool:
        return self._has_any

    def challenges(self, realm: str | None = None) -> list[str]:
        """Values of ``WWW-Authenticate``; Basic, for which a browser asks, only if one is set.

        With a ``realm`` Basic comes first, for clients that know nothing else.
        """
        basic = [f'Basic realm="{realm or "Parley"}", charset="UTF-8"'] if self._logins else []
        return [*basic, "Bearer"] if realm else ["Bearer", *basic]

    def name_of(self, key: str) -> str | None:
        """Whose key it is; a password counts as ``user:password``. None for Parley's own."""
        offered = key.encode("utf-8", "surrogateescape")
        name = _find(self._bearers, offered)
        return _find(self._logins, offered) if name in (None, LOCAL_ACCOUNT) else name

    def secrets_of(self, name: str) -> list[str]:
        """What ``name_of`` takes for this name."""
        return [
            secrets[name].decode("utf-8", "surrogateescape")
            for secrets in (self._bearers, self._logins)
            if name in secrets and name != LOCAL_ACCOUNT
        ]

    def account(self, authorization: str) -> str | None:
        """The name behind the header; None if its secret is not one of ours."""
        scheme, _, value = authorization.strip().partition(" ")
        offered = value.strip().encode("utf-8", "surrogateescape")
        match scheme.lower():
            case "bearer":
                return _find(self._bearers, offered)
            case "basic":
                return _find(self._logins, _decoded(offered))
        return None


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        return b""


def _find(secrets: Mapping[str, bytes], offered: bytes) -> str | None:
    found = None
    for name, secret in secrets.items():
        if hmac.compare_digest(secret, offered) and secret:
            found = name
    return found
