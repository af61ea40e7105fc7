"""What a request asks for, of its path, query and body."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from adapters.web.bodies import MAX_TEXT, body_of, read_as
from adapters.web.context import PageContext
from adapters.web.errors import BadRequest
from adapters.web.shapes import Form
from bot.errors import UnknownChat

Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: web.Request, context: PageContext, model: type[Body]) -> Body:
    return read_as(model, await body_of(request, MAX_TEXT, context.read_seconds))


def form_of(request: web.Request) -> Form:
    match request.query.get("as", "html"):
        case "html":
            return "html"
        case "markdown":
            return "markdown"
    raise BadRequest("'as' is either html or markdown.")


def number_of(request: web.Request) -> int:
    """Raises ``UnknownChat`` for what is no number: there is no such answer."""
    text = request.match_info["number"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UnknownChat
    return int(text)
