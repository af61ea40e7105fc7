"""The routes of all HTTP APIs, for programs of several origins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from aiohttp import web

from adapters.http import codeproject_ai, csps_llm, geniusrise, openai, usage
from adapters.http.common import openapi
from adapters.http.common.context import HttpContext, SocketEnd, only_named
from adapters.http.common.models import ModelNames, Models
from bot.ports import Clock, Conversations, DescribeModel


class Room(Protocol):
    """The package of one origin: its routes, and how ``/openapi.json`` describes each."""

    OPERATIONS: Sequence[openapi.Operation]

    def routes(self, context: HttpContext) -> list[web.RouteDef]: ...


ROOMS: tuple[Room, ...] = (openai, csps_llm, codeproject_ai, geniusrise, usage)
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
    socket_end: SocketEnd = "key",
    describe: DescribeModel = only_named,
) -> list[web.RouteDef]:
    """``patience`` and what follows it: see ``HttpContext``."""
    context = HttpContext(
        conversations,
        Models(conversations, model_names, aliases),
        clock,
        patience=patience,
        device=device,
        observe_command=observe_command,
        socket_end=socket_end,
        describe=describe,
    )
    served = [route for room in ROOMS for route in room.routes(context)]
    described = [operation for room in ROOMS for operation in room.OPERATIONS]
    return [*served, openapi.route(described)]
