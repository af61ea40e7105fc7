"""Who calls over HTTP, for routes that ask for themselves: those of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Caller:
    """``account`` as in ``ACCOUNT``. ``has_key``: a key or password says so, and not only the
    connection; ``is_signed_in``: the cookie of somebody who gave the key before does."""

    account: str
    has_key: bool = False
    is_signed_in: bool = False


class CallerCheck(Protocol):
    def caller(self, request: web.Request) -> Caller:
        """Raises ``web.HTTPUnauthorized`` with what to do, and the challenges of a browser."""
        ...

    async def sign_in(self, key: str) -> str | None:
        """The secret that a browser keeps from now on instead of the key; None: a wrong key."""
        ...

    async def sign_out(self, request: web.Request) -> None: ...


SIGN_IN_COOKIE = "parley_sign_in"
