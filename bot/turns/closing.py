"""The ends of turns, on disk, and what follows from them."""

from __future__ import annotations

import asyncio
import logging

from bot import prompt
from bot.errors import ParleyError, StorageFull
from bot.ports import Warming
from bot.tasks import TaskSet
from bot.turns.controls import conclude
from bot.turns.ending import Ending
from bot.turns.live import LiveTurn
from bot.turns.parts import Parts
from bot.types import GenerationRequest, Personality, Place, Turn

logger = logging.getLogger(__name__)

_DISK_POLL_SECONDS = 10.0


class Closing:
    """What a full disk cannot take now it gets later: the person has their reply."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.tasks = TaskSet(parts.clock)
        self.warming = TaskSet(parts.clock)
        self._reading: dict[asyncio.Task[None], Place] = {}

    async def finish(self, live: LiveTurn, ending: Ending) -> None:
        """Nothing of a forgotten turn is kept."""
        if live.is_forgotten:
            return
        try:
            await self._store(live, ending)
        except StorageFull as error:
            logger.error("the end of turn %s waits for room on disk: %s", live.id, error)
            self.tasks.spawn(self._finish_later(live, ending))

    async def stop_reading(self, place: Place) -> None:
        """Nothing that was said in the thread so far is read ahead any more."""
        under_way = [task for task, read in self._reading.items() if read == place]
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)

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
        if ending.reply and not live.is_forgotten:
            self._note_reading(self.tasks.spawn(self._trim(live)), live.place)

    def _note_reading(self, task: asyncio.Task[None], place: Place) -> None:
        self._reading[task] = place
        task.add_done_callback(self._reading.pop)

    async def _trim(self, live: LiveTurn) -> None:
        """Drop old turns in one big step now, so that the next question finds room."""
        parts = self._parts
        turns = [turn for turn in await parts.store.turns(live.place) if turn.state.is_finished]
        personality = await parts.personality_of(live.place)
        try:
            generator = await parts.generator_for(personality.model)
            number = await prompt.trim(
                generator, personality, turns, max_tokens=parts.rules.max_tokens
            )
            if number is None:
                return
            await parts.store.keep_from(live.place, number)
            kept = [turn for turn in turns if turn.number >= number]
            warming = self.warming.spawn(self._warm(live, personality, kept))
            self._note_reading(warming, live.place)
        except ParleyError as error:
            logger.warning("a thread could not be trimmed: %s", error)

    async def _warm(self, live: LiveTurn, personality: Personality, kept: list[Turn]) -> None:
        """What is kept stands at other positions now: evaluate it before it is asked for."""
        generator = self._parts.generator
        if isinstance(generator, Warming):
            request = GenerationRequest(
                messages=prompt.told(personality, kept),
                person=live.turn.person.id,
                thread=str(live.place),
                scope=live.place.workspace_form,
                model=personality.model,
            )
            try:
                await generator.warm(request)
            except ParleyError as error:
                logger.warning("a thread could not be read ahead: %s", error)
