"""The chat API of OpenAI: what its clients, and everything built on them, speak."""

from __future__ import annotations

from aiohttp import web

from adapters.http.chat import ChatCompletions
from adapters.http.models import ModelNames, Models
from bot.ports import Clock, Conversations


def routes(
    conversations: Conversations, *, model_names: ModelNames, clock: Clock, patience: float = 30.0
) -> list[web.RouteDef]:
    """A client that takes nothing of its stream for ``patience`` seconds is hung up on."""
    models = Models(conversations, model_names, created=int(clock.now().timestamp()))
    chat = ChatCompletions(conversations, models, clock, patience)
    return [
        web.post("/v1/chat/completions", chat.create),
        web.get("/v1/models", models.list),
        web.get("/v1/models/{model:.+}", models.retrieve),
    ]
