"""OpenAI's API."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.openai.chat import ChatCompletions
from adapters.http.openai.described import OPERATIONS as OPERATIONS
from adapters.http.openai.models import ModelList
from adapters.http.openai.responses import Responses


def routes(context: HttpContext) -> list[web.RouteDef]:
    chat = ChatCompletions(context)
    models = ModelList(context.models, created=int(context.clock.now().timestamp()))
    return [
        web.post("/v1/chat/completions", chat.create),
        web.post("/v1/responses", Responses(context).create),
        web.get("/v1/models", models.list),
        web.get("/v1/models/{model:.+}", models.retrieve),
    ]
