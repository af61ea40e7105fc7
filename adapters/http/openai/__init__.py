"""OpenAI's API."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.common.openapi import Operation
from adapters.http.openai.chat import ChatCompletions
from adapters.http.openai.completions import TextCompletions
from adapters.http.openai.described import OPERATIONS as CHAT_OPERATIONS
from adapters.http.openai.described_texts import TEXT_OPERATIONS
from adapters.http.openai.embeddings import Embeddings
from adapters.http.openai.models import ModelList
from adapters.http.openai.responses import Responses
from adapters.http.openai.tokens import token_routes

OPERATIONS: Sequence[Operation] = (*CHAT_OPERATIONS, *TEXT_OPERATIONS)


def routes(context: HttpContext) -> list[web.RouteDef]:
    chat = ChatCompletions(context)
    models = ModelList(context.models, created=int(context.clock.now().timestamp()))
    return [
        web.post("/v1/chat/completions", chat.create),
        web.post("/v1/responses", Responses(context).create),
        web.post("/v1/completions", TextCompletions(context).create),
        web.post("/v1/embeddings", Embeddings(context).create),
        web.get("/v1/models", models.list),
        web.get("/v1/models/{model:.+}", models.retrieve),
        *token_routes(context),
    ]
