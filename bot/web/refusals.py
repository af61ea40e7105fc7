"""Every error of the HTTP server as JSON, in the shape that OpenAI's clients read."""

from __future__ import annotations

import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

logger = logging.getLogger(__name__)

_CODES = {
    400: "bad_request",
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
    415: "unsupported_media_type",
}
_KEPT_HEADERS = ("Allow", "WWW-Authenticate", "Retry-After")


@web.middleware
async def as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into an answer; a program's request is its turn."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < 400 or refusal.content_type == "application/json":
            raise
        return _refused(request, refusal)
    except ConnectionError:
        raise  # the client is gone: nobody is left to answer
    except Exception:
        if request.writer.output_size:
            raise  # half an answer is out: aiohttp logs it and hangs up
        logger.exception("%s %s failed", request.method, request.path)
        return _response(500, "Parley failed inside; its log says how.", "internal_error")


def _refused(request: web.Request, refusal: web.HTTPException) -> web.Response:
    code = _CODES.get(refusal.status, "error")
    response = _response(refusal.status, _sentence(request, refusal), code)
    for name in _KEPT_HEADERS:
        for value in refusal.headers.getall(name, []):
            response.headers.add(name, value)
    return response


def _sentence(request: web.Request, refusal: web.HTTPException) -> str:
    match refusal:
        case web.HTTPNotFound():
            return f"There is nothing at {request.path}."
        case web.HTTPMethodNotAllowed():
            return f"{request.path} does not take {request.method}."
        case web.HTTPRequestEntityTooLarge():
            return f"The body is too large; at most {request.client_max_size:,} bytes are read."
    return refusal.text or HTTPStatus(refusal.status).phrase


def _response(status: int, message: str, code: str) -> web.Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


class Unexcited(logging.Filter):
    """Bytes that are no HTTP are the sender's matter, not worth a traceback in our log."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
