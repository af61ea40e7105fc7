"""What every room of the HTTP API is given."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.http.common.models import Models
from bot.ports import Clock, Conversations


@dataclass(frozen=True, slots=True)
class HttpContext:
    """The connection of a client that reads nothing for ``patience`` seconds is closed."""

    conversations: Conversations
    models: Models
    clock: Clock
    patience: float = 30.0
