"""Our errors in the error shape of OpenAI."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web
from pydantic import BaseModel

from bot.adapter_support.refusals import retry_header, usual_status
from bot.errors import (
    AccessDenied,
    NotOffered,
    OverLimit,
    ParleyError,
    PromptTooLong,
    QueueFull,
    RequestError,
    UnknownAnswer,
    UnknownPersonality,
    UnsupportedFormat,
    UnsupportedOption,
)

_AS_IN_CHATS: Mapping[str, str] = MappingProxyType({})


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


class InvalidBody(RequestError):
    """The body cannot be answered; ``param`` names the key to change."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = HTTPStatus.BAD_REQUEST,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


def to_response(error: ParleyError, names: Mapping[str, str] = _AS_IN_CHATS) -> web.Response:
    """``names``: what another API calls a key of chats."""
    headers = retry_header(error)
    return web.json_response(to_body(error, names), status=status_of(error), headers=headers)


def to_body(
    error: ParleyError, names: Mapping[str, str] = _AS_IN_CHATS
) -> dict[str, dict[str, str | None]]:
    """What a body says of its own keys stays as it is."""
    kind, param, code = _classify(error)
    if param and not isinstance(error, InvalidBody):
        param = names.get(param, param)
    return {"error": {"message": str(error), "type": kind, "param": param, "code": code}}


def _classify(error: ParleyError) -> tuple[str, str | None, str | None]:
    """OpenAI's type, param and code."""
    match error:
        case InvalidBody():
            return "invalid_request_error", error.param, error.code
        case PromptTooLong():
            return "invalid_request_error", "messages", "context_length_exceeded"
        case UnknownPersonality():
            return "invalid_request_error", "model", "model_not_found"
        case UnknownAnswer():
            return "invalid_request_error", "id", "not_found"
        case UnsupportedFormat():
            return "invalid_request_error", error.name, "unsupported_response_format"
        case UnsupportedOption():
            return "invalid_request_error", error.name, "unsupported_parameter"
        case NotOffered():
            return "invalid_request_error", None, "unsupported"
        case QueueFull() | OverLimit():
            return "rate_limit_error", None, "rate_limit_exceeded"
        case AccessDenied():
            return "permission_error", None, "access_denied"
        case RequestError():
            return "invalid_request_error", None, None
    return "server_error", None, "engine_failed"


def status_of(error: ParleyError) -> int:
    match error:
        case InvalidBody():
            return error.status
        case UnknownPersonality() | UnknownAnswer():
            return HTTPStatus.NOT_FOUND
    return usual_status(error)
