"""The routes of all HTTP APIs, for programs of several origins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from aiohttp import web

from adapters.http import codeproject_ai, geniusrise, openai, usage
from adapters.http.common import openapi
from adapters.http.common.context import HttpContext
from adapters.http.common.models import ModelNames, Models
from bot.ports import Clock, Conversations


class Room(Protocol):
    """The package of one origin: its routes, and how ``/openapi.json`` describes each."""

    OPERATIONS: Sequence[openapi.Operation]

    def routes(self, context: HttpContext) -> list[web.RouteDef]: ...


ROOMS: tuple[Room, ...] = (openai, codeproject_ai, geniusrise, usage)
MANNERS = (geniusrise.MANNER,)


def routes(
    conversations: Conversations,
    *,
    model_names: ModelNames,
    aliases: Mapping[str, str] = MappingProxyType({}),
    clock: Clock,
    patience: float = 30.0,
    device: Callable[[], str] = lambda: "CPU",
    observe_command: Callable[[str], None] = lambda _: None,
) -> list[web.RouteDef]:
    """``patience`` and what follows it: see ``HttpContext``."""
    models = Models(conversations, model_names, aliases)
    context = HttpContext(conversations, models, clock, patience, device, observe_command)
    served = [route for room in ROOMS for route in room.routes(context)]
    described = [operation for room in ROOMS for operation in room.OPERATIONS]
    return [*served, openapi.route(described)]
