"""Our errors in terms of HTTP, as every API and the page answer them."""

from __future__ import annotations

import math
from http import HTTPStatus

from bot.errors import AccessDenied, OverLimit, ParleyError, QueueFull, RequestError


def usual_status(error: ParleyError) -> HTTPStatus:
    """Where a route has no more to say of the error than what kind of refusal it is."""
    match error:
        case QueueFull() | OverLimit():
            return HTTPStatus.TOO_MANY_REQUESTS
        case AccessDenied():
            return HTTPStatus.FORBIDDEN
        case RequestError():
            return HTTPStatus.BAD_REQUEST
    return HTTPStatus.SERVICE_UNAVAILABLE


def retry_header(error: ParleyError) -> dict[str, str]:
    """When to come back, where that is known."""
    if not isinstance(error, QueueFull | OverLimit):
        return {}
    return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
