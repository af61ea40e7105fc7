"""How a request is read: its body as one of our models, and the thread that it names."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from adapters.http.common.errors import InvalidBody
from adapters.http.common.json_bodies import NO_JSON, OTHER_TYPE, without_mark

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")

_MAX_MESSAGE, _MAX_STEP = 200, 64
_MAX_THREAD_NAME = 256
_UNIONS: tuple[tuple[str | None, ...], ...] = (
    ("response_format",),
    ("text", "format"),
    ("input", None),
)
"""Behind these pydantic names the member of the union, which nobody has sent; None is a number."""
_AS_JSON = {
    **dict.fromkeys(("model_type", "model_attributes_type"), "Input should be an object"),
    "union_tag_not_found": "its key {discriminator} is missing",
    "union_tag_invalid": "{discriminator} should be one of {expected_tags}",
}
"""Pydantic's name of a problem -> what is said of it."""


async def json_bytes(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise InvalidBody(
            OTHER_TYPE,
            code="unsupported_media_type",
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    return await request.read()


def thread_name(request: web.Request) -> str | None:
    name = request.headers.get("X-Parley-Thread")
    if name and (len(name) > _MAX_THREAD_NAME or not name.isprintable()):
        raise InvalidBody(
            f"X-Parley-Thread is a name of at most {_MAX_THREAD_NAME} printable characters.",
            param="X-Parley-Thread",
        )
    return name or None


def read_as(model: type[Body], raw: bytes) -> Body:
    """Raises ``InvalidBody``, which names the first wrong key."""
    try:
        return model.model_validate_json(without_mark(raw))
    except ValidationError as error:
        raise first_problem(error) from None


def first_problem(error: ValidationError) -> InvalidBody:
    problem = error.errors(include_url=False, include_input=False)[0]
    param = _path(problem["loc"])
    if problem["type"] == "json_invalid":
        return InvalidBody(f"{NO_JSON}: {_reason(problem)}.")
    message = _message(problem)
    shown = message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"
    return InvalidBody(f"{param or 'The body'}: {shown}.", param=param or None)


def _message(problem: ErrorDetails) -> str:
    """In the words of JSON: nobody has sent what pydantic calls our classes and tags."""
    told = _AS_JSON.get(problem["type"])
    return told.format_map(problem.get("ctx", {})) if told else problem["msg"]


def _reason(problem: ErrorDetails) -> str:
    return str(problem.get("ctx", {}).get("error", problem["msg"]))


def _path(location: tuple[int | str, ...]) -> str:
    """OpenAI's way to write it: ``messages[0].content``."""
    names = (step if isinstance(step, int) else step[:_MAX_STEP] for step in _as_sent(location))
    steps = (f"[{name}]" if isinstance(name, int) else f".{name}" for name in names)
    return "".join(steps).removeprefix(".")


def _as_sent(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    for union in _UNIONS:
        number = len(union)
        begin = tuple(None if isinstance(step, int) else step for step in location[:number])
        if begin == union:
            return (*location[:number], *location[number + 1 :])
    return location


def the_one(given: Mapping[str, T]) -> T | None:
    """The value that was sent under one of these names; they must not contradict each other."""
    sent = [(name, value) for name, value in given.items() if value is not None]
    if not sent:
        return None
    first, wanted = sent[0]
    for other, value in sent[1:]:
        if value != wanted:
            raise InvalidBody(
                f"{first} and {other} contradict each other; please send one of them.", param=other
            )
    return wanted
