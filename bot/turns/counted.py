"""A program's generation, whose end is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from bot.generation import Finished, GenerationEvent, Reasoning
from bot.ports import Generation


class CountedGeneration:
    """A generation that calls ``ended`` once, when it has ended or is cancelled.

    ``heard`` gets every event that is read. ``shows_reasoning`` False: ``Reasoning`` events are
    left out.
    """

    def __init__(
        self,
        generation: Generation,
        heard: Callable[[GenerationEvent], None],
        ended: Callable[[CountedGeneration], None],
        *,
        shows_reasoning: bool,
    ) -> None:
        self._generation = generation
        self._heard = heard
        self._shows_reasoning = shows_reasoning
        self._ended: Callable[[CountedGeneration], None] | None = ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GenerationEvent:
        try:
            event = await self._next()
        except BaseException:
            self.cancel()
            raise
        if isinstance(event, Finished):
            self._end()
        return event

    async def _next(self) -> GenerationEvent:
        async for event in self._generation:
            self._heard(event)
            if self._shows_reasoning or not isinstance(event, Reasoning):
                return event
        raise StopAsyncIteration

    def cancel(self) -> None:
        self._generation.cancel()
        self._end()

    def _end(self) -> None:
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended(self)
