"""Embeddings, which no model of Parley makes."""

from __future__ import annotations

from aiohttp import web

from adapters.http.common.errors import to_response
from bot.errors import NotOffered


async def refuse_embeddings(request: web.Request) -> web.Response:
    return to_response(NotOffered("No model here makes embeddings, only texts."))
