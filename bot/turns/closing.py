"""The ends of turns, on disk, and what follows from them."""

from __future__ import annotations

import logging

from bot import prompt
from bot.errors import ParleyError, StorageFull
from bot.tasks import TaskSet
from bot.turns.controls import conclude
from bot.turns.ending import Ending
from bot.turns.live import LiveTurn
from bot.turns.parts import Parts

logger = logging.getLogger(__name__)

_DISK_POLL_SECONDS = 10.0


class Closing:
    """What a full disk cannot take now it gets later: the person has their reply."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.tasks = TaskSet(parts.clock)

    async def finish(self, live: LiveTurn, ending: Ending) -> None:
        """Nothing of a forgotten turn is kept."""
        if live.is_forgotten:
            return
        try:
            await self._store(live, ending)
        except StorageFull as error:
            logger.error("the end of turn %s waits for room on disk: %s", live.id, error)
            self.tasks.spawn(self._finish_later(live, ending))

    async def _finish_later(self, live: LiveTurn, ending: Ending) -> None:
        await self._parts.clock.sleep(_DISK_POLL_SECONDS)
        await self.finish(live, ending)

    async def _store(self, live: LiveTurn, ending: Ending) -> None:
        await self._parts.store.finish(
            live.id,
            ending.state,
            reply=ending.reply,
            reason=ending.reason,
            usage=ending.usage,
        )
        live.is_concluded = True
        self._parts.metrics.turns.labels(live.place.adapter, ending.state.value).inc()
        self.tasks.spawn(conclude(self._parts, live))
        if ending.reply:
            self.tasks.spawn(self._trim(live))

    async def _trim(self, live: LiveTurn) -> None:
        """Drop old turns in one big step now, so that the next question finds room."""
        parts = self._parts
        turns = [turn for turn in await parts.store.turns(live.place) if turn.state.is_finished]
        try:
            number = await prompt.trim(
                parts.generator,
                await parts.personality_of(live.place),
                turns,
                max_tokens=parts.rules.max_tokens,
            )
            if number is not None:
                await parts.store.keep_from(live.place, number)
        except ParleyError as error:
            logger.warning("a thread could not be trimmed: %s", error)
