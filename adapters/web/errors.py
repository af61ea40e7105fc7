"""Refusals of the page's routes: ``{"error": {"message": "one sentence"}}``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from bot.adapter_support.refusals import retry_header, usual_status
from bot.errors import EngineFailed, ParleyError, RequestError, UnknownChat

_LOADING_SECONDS = 5


class BadRequest(RequestError):
    """The request itself is wrong, with the status that says how."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


def to_response(error: ParleyError | web.HTTPException) -> web.StreamResponse:
    """A 401 challenges no browser: its dialog would take the place of the page's own."""
    if isinstance(error, ParleyError):
        return _refusal(str(error), _status(error), _retry_after(error))
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else {}
    return _refusal(error.text or error.reason, error.status, headers)


def password_challenge(refusal: web.HTTPUnauthorized) -> dict[str, str]:
    """The header that opens a browser's own dialog, where people have passwords."""
    challenges = refusal.headers.getall("WWW-Authenticate", [])
    basic = [each for each in challenges if each.startswith("Basic")]
    return {"WWW-Authenticate": basic[0]} if basic else {}


def _refusal(message: str, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)


def _status(error: ParleyError) -> HTTPStatus:
    match error:
        case BadRequest():
            return error.status
        case UnknownChat():
            return HTTPStatus.NOT_FOUND
    return usual_status(error)


def _retry_after(error: ParleyError) -> dict[str, str]:
    if isinstance(error, EngineFailed):
        return {"Retry-After": str(_LOADING_SECONDS)}
    return retry_header(error)
