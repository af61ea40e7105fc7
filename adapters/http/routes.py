"""The routes of all HTTP APIs, for programs of several origins."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

from adapters.http import openai
from adapters.http.common.context import HttpContext
from adapters.http.common.models import ModelNames, Models
from bot.ports import Clock, Conversations


def routes(
    conversations: Conversations,
    *,
    model_names: ModelNames,
    aliases: Mapping[str, str] = MappingProxyType({}),
    clock: Clock,
    patience: float = 30.0,
) -> list[web.RouteDef]:
    """``patience``: see ``HttpContext``."""
    context = HttpContext(
        conversations, Models(conversations, model_names, aliases), clock, patience
    )
    return [*openai.routes(context)]
