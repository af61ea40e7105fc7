"""What answers: the card of a personality and its model, and what this machine does."""

from __future__ import annotations

import os
from dataclasses import asdict

from aiohttp import web

from adapters.http.common.context import HttpContext
from adapters.http.csps_llm.answering import json_refusal
from adapters.http.csps_llm.asking import personality_of
from bot.errors import ParleyError


class Cards:
    def __init__(self, context: HttpContext) -> None:
        self._context = context

    async def describe(self, request: web.Request) -> web.Response:
        try:
            personality = personality_of(request, self._context)
            model = await self._context.describe(personality.model)
        except ParleyError as error:
            return json_refusal(error)
        card = {
            "personality": personality.name,
            "title": personality.title,
            "description": personality.description,
            "language": personality.language,
            "model": {name: value for name, value in asdict(model).items() if value is not None},
        }
        return web.json_response(card)

    async def stats(self, request: web.Request) -> web.Response:
        """Load averages of 1, 5 and 15 minutes, where the system has them."""
        conversations = self._context.conversations
        stats = {
            "models": self._context.models.names(),
            "personalities": [each.name for each in conversations.personalities()],
            "cpu_count": os.cpu_count(),
            "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        }
        return web.json_response(stats)
