"""Who asks whom, in which session: the same on every route."""

from __future__ import annotations

import re
import uuid

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.common.errors import InvalidBody
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import AccessDenied, StillLoading, UnknownPersonality
from bot.types import Personality, Session

SESSION_HEADER = "X-Parley-Session"
_KEY = re.compile(r"[A-Za-z0-9:._-]{1,128}")
_ELSEWHERE = ("cross-site", "same-site")


def personality_of(request: web.Request, context: HttpContext) -> Personality:
    """The personality that the path names, by its name or an alias.

    Raises ``UnknownPersonality``, and ``StillLoading`` while there are none yet.
    """
    asked = request.match_info["personality"]
    known = {each.name: each for each in context.conversations.personalities()}
    if not known:
        raise StillLoading
    if asked.casefold() in known:
        return known[asked.casefold()]
    try:
        name = context.models.resolve(asked).personality
    except InvalidBody:
        name = None
    if name not in known:
        raise UnknownPersonality(asked, tuple(known))
    return known[name]


def new_key() -> str:
    """Nobody can guess it."""
    return uuid.uuid4().urn


def session_of(request: web.Request, personality: str, key: str | None) -> Session:
    """The caller's session of that key; a new one if it is no key."""
    if not (key and _KEY.fullmatch(key)):
        key = new_key()
    return Session(request[ACCOUNT], personality, key)


def refuse_other_sites(request: web.Request) -> None:
    """A page of another site may follow a link here, or show a picture from here, without an
    ``Origin``; a question must not be asked so. Raises ``AccessDenied``.
    """
    if "Origin" not in request.headers and request.headers.get("Sec-Fetch-Site") in _ELSEWHERE:
        raise AccessDenied("Pages of another site may not ask Parley.")
