"""Votes on answers, which pages with a thumb up and a thumb down collect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from aiohttp import web
from pydantic import Field

from adapters.http.common.context import HttpContext
from adapters.http.common.errors import to_response
from adapters.http.common.openapi import JSON, AnswerBody, Operation
from adapters.http.openai.messages import StrictBody
from adapters.http.openai.reading import json_bytes, read_as
from bot.adapter_support.addresses import ACCOUNT
from bot.errors import ParleyError

_PATH = "/v1/votes"


class VoteBody(StrictBody):
    """``id``: that of the answer. ``rating``: 1 likes it, -1 does not, 0 takes a vote back."""

    id: Annotated[str, Field(min_length=1, max_length=128)]
    rating: Annotated[int, Field(ge=-1, le=1)]


class VoteObject(AnswerBody):
    id: str
    rating: int


OPERATIONS: Sequence[Operation] = (
    Operation(
        method="post",
        path=_PATH,
        summary="Like or dislike an answer",
        body={JSON: VoteBody},
        answer={JSON: VoteObject},
    ),
)


def routes(context: HttpContext) -> list[web.RouteDef]:
    async def vote(request: web.Request) -> web.Response:
        try:
            body = read_as(VoteBody, await json_bytes(request))
            await context.conversations.vote(request[ACCOUNT], body.id, body.rating)
        except ParleyError as error:
            return to_response(error)
        return web.json_response({"id": body.id, "rating": body.rating})

    return [web.post(_PATH, vote)]
