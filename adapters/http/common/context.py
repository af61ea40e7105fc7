"""What every room of the HTTP API is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from adapters.http.common.models import Models
from bot.ports import Clock, Conversations


@dataclass(frozen=True, slots=True)
class HttpContext:
    """The connection of a client that reads nothing for ``patience`` seconds is closed.

    ``device``: where the model runs, as ``CPU``. ``observe_command`` counts commands that run in
    the background: those that have begun and, by their outcome, those that have ended.
    """

    conversations: Conversations
    models: Models
    clock: Clock
    patience: float = 30.0
    device: Callable[[], str] = lambda: "CPU"
    observe_command: Callable[[str], None] = lambda _: None


def route_of(request: web.Request) -> str:
    """The route that was asked, for the usage log, without what stands for its parameters."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
