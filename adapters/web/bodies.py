"""Bodies of requests: read within bounds, and refused in one sentence."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from adapters.web.errors import BadRequest

Body = TypeVar("Body", bound=BaseModel)

MAX_TEXT = 1024 * 1024
"""Bytes: far too long for any window, so that the answer says how long it may be."""
MAX_TITLE = 200
MAX_NAME = 256

_BYTES_IN_TIME = 64 * 1024
"""A body that goes on at this many bytes in ``read_seconds`` has no other limit of time."""
_BOM = b"\xef\xbb\xbf"
_MAX_SHOWN = 40
_IN_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is unknown here",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "string_too_long": "has more than {max_length:,} characters",
    "string_unicode": "must be valid Unicode",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""Pydantic's name of a problem -> how a sentence goes on that begins with the key."""


class StrictJson(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NothingMore(StrictJson):
    """What a request says by its path alone."""


class NewTurn(StrictJson):
    text: str
    personality: Annotated[str, Field(max_length=MAX_NAME)] | None = None


class ChatChanges(StrictJson):
    title: Annotated[str, Field(max_length=MAX_TITLE)] | None = None
    personality: Annotated[str, Field(max_length=MAX_NAME)] | None = None


class EditedQuestion(StrictJson):
    text: str


class ChosenAnswer(StrictJson):
    number: Annotated[int, Field(ge=1, le=2**31 - 1)]


class GivenRating(StrictJson):
    rating: Annotated[int, Field(ge=-1, le=1)]


class GivenKey(StrictJson):
    key: Annotated[str, Field(min_length=1, max_length=4096)]


async def body_of(request: web.Request, max_bytes: int, seconds: float) -> bytes:
    """The whole body. Raises ``BadRequest`` if it is too large, too slow or broken."""
    if (request.content_length or 0) > max_bytes:
        raise too_large(max_bytes)
    began_at = asyncio.get_running_loop().time()
    received = bytearray()
    try:
        async with asyncio.timeout(seconds) as limit:
            async for chunk in request.content.iter_any():
                received += chunk
                if len(received) > max_bytes:
                    raise too_large(max_bytes)
                limit.reschedule(began_at + seconds * (1 + len(received) / _BYTES_IN_TIME))
    except TimeoutError:
        raise BadRequest(
            f"The body did not arrive within {seconds:g} s.", HTTPStatus.REQUEST_TIMEOUT
        ) from None
    except (web.RequestPayloadError, ConnectionError):
        raise BadRequest("The body is broken.") from None
    return bytes(received)


def too_large(max_bytes: int) -> BadRequest:
    sentence = f"This is too large; at most {in_words(max_bytes)} are read."
    return BadRequest(sentence, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def in_words(num_bytes: int) -> str:
    return f"{num_bytes // 1024**2} MB" if num_bytes >= 1024**2 else f"{num_bytes:,} bytes"


def read_as(model: type[Body], raw: bytes) -> Body:
    """An empty body counts as an empty object. Raises ``BadRequest``."""
    try:
        return model.model_validate_json(raw.removeprefix(_BOM) or b"{}")
    except ValidationError as error:
        raise BadRequest(_sentence(error.errors(include_url=False)[0])) from None


def _sentence(problem: ErrorDetails) -> str:
    kind: str = problem["type"]
    context: dict[str, Any] = problem.get("ctx", {})
    if kind == "json_invalid":
        return "The body is not valid JSON in UTF-8."
    if not problem["loc"]:
        return "The body must be a JSON object."
    told = _IN_WORDS.get(kind, problem["msg"].replace("Input should", "must"))
    return f"{str(problem['loc'][0])[:_MAX_SHOWN]!r} {told.format_map(context)}."
