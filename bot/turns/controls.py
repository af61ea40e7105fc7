"""Buttons under a reply that has ended."""

from __future__ import annotations

import logging

from bot.errors import PlatformError
from bot.pacing import Urgency
from bot.ports import OffersControls
from bot.turns.live import LiveTurn
from bot.turns.parts import Parts

logger = logging.getLogger(__name__)


async def conclude(parts: Parts, live: LiveTurn) -> None:
    """Where the platform has buttons: take Stop away, and offer what comes after."""
    place = live.place
    adapter: object = parts.adapters.get(place.adapter)
    if not isinstance(adapter, OffersControls):
        return
    turn = await parts.store.turn(live.id)
    if turn is None or not turn.posts or not turn.state.is_finished:
        return
    ids = [post.message_id for post in turn.posts]
    try:
        async with parts.budgets[place.adapter].call("edit", place, ids[-1], Urgency.SPARE):
            await adapter.conclude(place, turn.id, ids)
    except PlatformError as error:
        logger.info("the buttons of a reply stay as they were: %s", error)
