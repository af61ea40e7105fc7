"""What every room of the HTTP API is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from adapters.http.common.models import Models
from bot.adapter_support.addresses import ACCOUNT, COMMAND, EVAL
from bot.ports import LOCAL_ACCOUNT, Clock, Conversations, DescribeModel
from bot.types import ModelCard

SocketEnd = Literal["key", "plain"]


async def only_named(model: str | None) -> ModelCard:
    """Of a model nothing is known but its name."""
    return ModelCard(model or "default")


@dataclass(frozen=True, slots=True)
class HttpContext:
    """The connection of a client that reads nothing for ``patience`` seconds is closed.

    ``device``: where the model runs, as ``CPU``. ``observe_command`` counts commands that run in
    the background: those that have begun and, by their outcome, those that have ended.
    ``socket_end``: whether the end of a reply on a socket names its session, or is ``plain``.
    """

    conversations: Conversations
    models: Models
    clock: Clock
    patience: float = 30.0
    device: Callable[[], str] = lambda: "CPU"
    observe_command: Callable[[str], None] = lambda _: None
    socket_end: SocketEnd = "key"
    describe: DescribeModel = only_named


def route_of(request: web.Request) -> str:
    """The route that was asked, for the usage log, without what stands for its parameters.

    What Parley's own ``eval`` asks is told apart from what people and programs do.
    """
    if request.headers.get(COMMAND) == EVAL and request[ACCOUNT] == LOCAL_ACCOUNT:
        return EVAL
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
