"""Every error of the HTTP server as JSON, in the shape that OpenAI's clients read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError, LineTooLong
from aiohttp.typedefs import Handler, Middleware

from bot.adapter_support.manners import Manner

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
    417: "expectation_failed",
}
_KEPT_HEADERS = ("Allow", "WWW-Authenticate", "Retry-After")


UNREADABLE_ENCODING = "The body's Content-Encoding cannot be read; send it plain, or with gzip."
_FAILED = "Parley failed inside; its log says how."
_MALFORMED = {
    "Too many headers": "This request has too many headers.",
    "Missing 'Host'": "This request has no header 'Host'.",
    "Duplicate 'Host'": "This request has the header 'Host' twice.",
    "Content-Length can't be": "A request has either Content-Length or Transfer-Encoding.",
    "Received HTTPS": "This port speaks HTTP and not HTTPS.",
}
"""How the parser's messages begin, and what is said instead."""


def as_json(manners: Sequence[Manner]) -> Middleware:
    """Answer every error with JSON: in the shape of OpenAI, or by the manner of the path."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        manner = manner_of(request, manners)
        error = manner.error if manner else _openai_error
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            if refusal.status < 400 or refusal.content_type == "application/json":
                raise
            return refused(request, refusal, error)
        except ConnectionError:
            raise  # the client is gone: nobody is left to answer
        except Exception:
            if request.writer.output_size:
                raise  # half an answer is out: aiohttp logs it and hangs up
            logger.exception("%s %s failed", request.method, request.path)
            return error(500, _FAILED)

    return answer


def manner_of(request: web.BaseRequest, manners: Sequence[Manner]) -> Manner | None:
    return next((each for each in manners if request.path.startswith(each.prefix)), None)


def _openai_error(status: int, sentence: str) -> web.Response:
    code = "internal_error" if status >= 500 else _CODES.get(status, "error")
    return error_response(status, sentence, code)


def refused(
    request: web.BaseRequest,
    refusal: web.HTTPException,
    error: Callable[[int, str], web.Response] = _openai_error,
) -> web.Response:
    response = error(refusal.status, _sentence(request, refusal))
    for name in _KEPT_HEADERS:
        for value in refusal.headers.getall(name, []):
            response.headers.add(name, value)
    return response


def _sentence(request: web.BaseRequest, refusal: web.HTTPException) -> str:
    match refusal:
        case web.HTTPNotFound():
            return f"There is nothing at {request.path}."
        case web.HTTPMethodNotAllowed():
            return f"{request.path} does not take {request.method}."
        case web.HTTPRequestEntityTooLarge():
            return f"The body is too large; at most {request.client_max_size:,} bytes are read."
        case web.HTTPExpectationFailed():
            return "The header 'Expect' can only be '100-continue'."
    return refusal.text or HTTPStatus(refusal.status).phrase


def error_response(status: int, message: str, code: str) -> web.Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


def malformed(status: int, error: BaseException | None) -> web.Response:
    """The answer to bytes that are no request; nothing of them is repeated, a key least of all."""
    if status >= 500:
        return error_response(status, _FAILED, "internal_error")
    return error_response(status, _why_malformed(error), "bad_request")


def _why_malformed(error: BaseException | None) -> str:
    match error:
        case LineTooLong():
            return "The address or a header of this request is too long; 8,190 bytes are read."
        case ContentEncodingError():
            return UNREADABLE_ENCODING
    said = error.message if isinstance(error, HttpProcessingError) else ""
    found = (sentence for beginning, sentence in _MALFORMED.items() if said.startswith(beginning))
    return next(found, "This request is not valid HTTP.")


_FAULTS_OF_CLIENTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


class FaultsOfClients(logging.Filter):
    """Keeps out of our log the tracebacks of bytes that are not HTTP, and of clients that left."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, _FAULTS_OF_CLIENTS)
