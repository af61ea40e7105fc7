"""What every room of the HTTP API is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
