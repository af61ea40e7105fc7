"""Failures in the shapes of Geniusrise, whose server told an exception with the status 200."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from bot.adapter_support.refusals import retry_header
from bot.errors import ParleyError


def exception(error: ParleyError) -> web.Response:
    """As for OpenAI's clients, ``Retry-After`` says when to come back."""
    return web.json_response({"error": str(error)}, headers=retry_header(error))


def framework_error(status: int, sentence: str) -> web.Response:
    """What its web framework refused before a handler ran; a failure inside is an exception."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return web.json_response({"error": sentence})
    told = f"{status} {HTTPStatus(status).phrase}"
    return web.json_response({"status": told, "message": sentence}, status=status)
