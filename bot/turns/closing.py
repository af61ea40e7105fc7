"""The ends of turns, on disk, and what follows from them."""

from __future__ import annotations

import asyncio
import logging

from bot import prompt
from bot.errors import ParleyError, StorageError
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
    """What the disk does not take now it gets later: the person has their reply."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.tasks = TaskSet(parts.clock)
        self.warming = TaskSet(parts.clock)
        self._reading: dict[asyncio.Task[None], Place] = {}

    async def record(self, live: LiveTurn) -> None:
        """Where the messages of the reply are. The reply goes on where this fails.

        It is made up for at the turn's end; a later process would have to search for them.
        """
        try:
            await self._record(live)
        except StorageError:
            logger.error("a message of turn %s is not recorded yet", live.id)

    async def _record(self, live: LiveTurn) -> None:
        for part, message_id in tuple(live.unrecorded.items()):
            if message_id is None:
                await self._parts.store.remove_post(live.id, part)
            else:
                await self._parts.store.add_post(live.id, part, message_id)
            live.unrecorded.pop(part, None)

    async def finish(self, live: LiveTurn, ending: Ending) -> None:
        """Nothing of a forgotten turn is kept."""
        if live.is_forgotten:
            return
        live.told = ending
        try:
            await self._record(live)
            await self._store(live, ending)
        except StorageError:
            logger.error("the end of turn %s could not be stored and is tried again", live.id)
            self.finish_later(live, ending)

    async def stop_reading(self, place: Place) -> None:
        """Nothing that was said in the thread so far is read ahead any more."""
        under_way = [task for task, read in self._reading.items() if read == place]
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)

    def finish_later(self, live: LiveTurn, ending: Ending) -> None:
        """Unless the turn was begun again by then."""
        self.tasks.spawn(self._wait_and_finish(live, ending))

    async def _wait_and_finish(self, live: LiveTurn, ending: Ending) -> None:
        await self._parts.clock.sleep(_DISK_POLL_SECONDS)
        if live.told is ending:
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
        try:
            turns = [turn for turn in await parts.store.turns(live.place) if turn.state.is_finished]
            personality = await parts.personality_of(live.place)
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
