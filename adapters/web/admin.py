"""``/admin``: what whoever runs Parley sees of it, in a browser or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from adapters.web.admin_page import overview_page, refusal_page
from adapters.web.context import PageContext
from adapters.web.errors import BadRequest, password_challenge, to_response
from adapters.web.headers import NOT_KEPT, SAFE
from adapters.web.owners import browser_secret, owner_of
from bot.errors import ParleyError
from bot.overview import ReadOverview
from bot.ports import LOCAL_ACCOUNT

_NOT_YOURS = "This is for those who run Parley: PARLEY_ADMINS lists them."
_ROUTE = "/admin"


class AdminView:
    """Anybody may follow a link here, and no other page can read what is answered."""

    def __init__(self, context: PageContext, read: ReadOverview) -> None:
        self._context = context
        self._read = read

    async def get(self, request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse
        wants_json = "application/json" in request.headers.get("Accept", "")
        try:
            self._admit(request)
            overview = await self._read()
            if wants_json:
                response = web.json_response(asdict(overview), dumps=_json)
            else:
                response = _html(overview_page(overview))
        except (ParleyError, web.HTTPException) as error:
            response = _refusal(error, wants_json=wants_json)
        response.headers.update({**SAFE, **NOT_KEPT, "Vary": "Accept"})
        self._context.observe_request(_ROUTE, response.status)
        return response

    def _admit(self, request: web.Request) -> None:
        context = self._context
        caller = context.callers.caller(request)
        is_local = caller.account == LOCAL_ACCOUNT
        owner = None if is_local else owner_of(caller, browser_secret(request))
        if not context.may_oversee(caller, owner):
            raise BadRequest(_NOT_YOURS, HTTPStatus.FORBIDDEN)


def _refusal(error: ParleyError | web.HTTPException, *, wants_json: bool) -> web.StreamResponse:
    """A browser asks for the password where people have one; others find the way to sign in."""
    response = to_response(error)
    if not wants_json:
        sentence = error.text if isinstance(error, web.HTTPException) else str(error)
        response = _html(refusal_page(sentence or ""), response.status)
    if isinstance(error, web.HTTPUnauthorized):
        response.headers.update(password_challenge(error))
    return response


def _html(text: str, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


def _json(value: object) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
