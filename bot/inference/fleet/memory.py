"""Which loaded model leaves for another. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bot.inference.fleet.stay import Stay


def fits(loaded: Iterable[Stay], num_bytes: int, budget: int) -> bool:
    return sum(stay.num_bytes for stay in loaded) + num_bytes <= budget


def next_to_leave(loaded: Iterable[Stay]) -> Stay | None:
    """The least recently used of the idle; if none is idle, of all: it ends its replies first."""
    return min(loaded, key=lambda stay: (stay.num_users > 0, stay.used_at), default=None)
