"""The page before anything is asked: itself, who looks at it, and signing in."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from adapters.web.bodies import GivenKey, NothingMore
from adapters.web.context import PageContext
from adapters.web.errors import BadRequest, password_challenge
from adapters.web.owners import (
    COOKIE_SECONDS,
    OWNER_COOKIE,
    browser_secret,
    new_secret,
    owner_of,
)
from adapters.web.reading import read_json
from adapters.web.shapes import WRITTEN_BY_AI, personality
from adapters.web.static_files import StaticFile
from bot.adapter_support.callers import SIGN_IN_COOKIE
from bot.ports import LOCAL_ACCOUNT

_SIGN_IN_SECONDS = 90 * 24 * 3600
_WRONG_KEY = "This is none of Parley's keys."


class Entrance:
    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._page = StaticFile("page.html")

    async def page(self, request: web.Request) -> web.StreamResponse:
        """For everybody: it holds nothing. Where people have passwords a browser asks for one.

        Whoever has a key instead cancels that, and the page that comes along asks for it.
        """
        try:
            self._context.callers.caller(request)
        except web.HTTPUnauthorized as refusal:
            if challenge := password_challenge(refusal):
                response = self._page.response(request, HTTPStatus.UNAUTHORIZED)
                response.headers.update(challenge)
                return response
        return await self._page.get(request)

    async def state(self, request: web.Request) -> web.StreamResponse:
        """The first that a page asks for; it makes the browser known that has no key."""
        context = self._context
        caller = context.callers.caller(request)
        is_browser = caller.account == LOCAL_ACCOUNT and not caller.has_key
        secret = browser_secret(request) or new_secret()
        owner = owner_of(caller, secret)
        response = web.json_response(
            {
                "owner": {"name": "" if is_browser else owner.name},
                "model": context.model(),
                "personalities": [personality(each) for each in context.personalities()],
                "default": context.personality,
                "max_upload": context.max_upload,
                "max_files": context.max_files,
                "is_admin": context.may_oversee(caller, owner),
                "is_loading": context.is_loading,
                "can_sign_out": caller.is_signed_in,
                "notice": WRITTEN_BY_AI,
            }
        )
        if is_browser:
            self._set_cookie(response, OWNER_COOKIE, secret, COOKIE_SECONDS)
        return response

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request, self._context, GivenKey)
        secret = await self._context.callers.sign_in(body.key.strip())
        if secret is None:
            raise BadRequest(_WRONG_KEY, HTTPStatus.UNAUTHORIZED)
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        self._set_cookie(response, SIGN_IN_COOKIE, secret, _SIGN_IN_SECONDS)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        await read_json(request, self._context, NothingMore)
        await self._context.callers.sign_out(request)
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        response.del_cookie(SIGN_IN_COOKIE, path="/", samesite="Strict", httponly=True)
        return response

    def _set_cookie(
        self, response: web.StreamResponse, name: str, secret: str, seconds: int
    ) -> None:
        response.set_cookie(
            name,
            secret,
            max_age=seconds,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._context.is_secure,
        )
