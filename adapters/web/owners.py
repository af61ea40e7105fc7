"""Whose chats a request is about, and that no other website sends it."""

from __future__ import annotations

import hashlib
import re
import secrets
from http import HTTPStatus

from aiohttp import web

from adapters.web.errors import BadRequest
from bot.adapter_support.addresses import is_same_origin
from bot.adapter_support.callers import Caller
from bot.chats import TERMINAL, Owner
from bot.ports import LOCAL_ACCOUNT, SIGNED_IN

OWNER_COOKIE = "parley_owner"
COOKIE_SECONDS = 365 * 24 * 3600
PAGE_HEADER = "X-Parley-Page"

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_READS = ("GET", "HEAD")
_NEW_BROWSER = "Parley does not know this browser yet; please load the page once more."
_OTHER_SITE = "Only Parley's own page may ask for this."
_FORM = (
    "A request that changes something has the header 'Content-Type: application/json' or "
    f"'{PAGE_HEADER}: 1'."
)


def browser_secret(request: web.Request) -> str | None:
    """What tells this browser apart from others of the machine; nobody can guess it."""
    found = request.cookies.get(OWNER_COOKIE, "")
    return found if _SECRET.fullmatch(found) else None


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def owner_of(caller: Caller, secret: str | None) -> Owner:
    """Raises ``web.HTTPUnauthorized`` for a browser of this machine without a secret.

    A name of a browser says nothing of its secret: names stand in the history.
    """
    if caller.account != LOCAL_ACCOUNT:
        return Owner(caller.account, caller.account.removeprefix(SIGNED_IN))
    if caller.has_key:
        return Owner(LOCAL_ACCOUNT, TERMINAL)
    if secret is None:
        raise web.HTTPUnauthorized(text=_NEW_BROWSER)
    return Owner(LOCAL_ACCOUNT, hashlib.sha256(secret.encode()).hexdigest()[:32])


def check_site(request: web.Request) -> None:
    """Refuse what another page sends, of this machine too: cookies know no ports.

    Pages of ``PARLEY_CORS_ORIGINS`` may call the APIs, not this. Forms that need no script
    cannot have the headers that are asked for.
    """
    origin = request.headers.get("Origin")
    is_read = request.method in _READS
    ours = ("same-origin", "none") if is_read else ("same-origin",)
    is_foreign = origin is not None and not is_same_origin(origin, request)
    if is_foreign or request.headers.get("Sec-Fetch-Site", "same-origin") not in ours:
        raise BadRequest(_OTHER_SITE, HTTPStatus.FORBIDDEN)
    is_ours = request.content_type == "application/json" or request.headers.get(PAGE_HEADER) == "1"
    if not (is_read or request.method == "DELETE" or is_ours):
        raise BadRequest(_FORM, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
