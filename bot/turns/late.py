"""Answers of a program that begin once their sources are gathered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from bot.errors import ANSWER_FAILED, ParleyError
from bot.generation import Finished, FinishReason, Progress
from bot.ports import EngineGeneration
from bot.stream import GenerationStream
from bot.tasks import TaskSet

Begin = Callable[[Callable[[str], None]], Awaitable[Sequence[EngineGeneration]]]
"""Gathers and then asks the engine; takes what hears the texts of ``Progress``."""


class LateAnswers:
    """``streams``: of so many answers. They tell what is done, then what the engine answers.

    What keeps them from beginning is raised to whoever reads them.
    """

    def __init__(self, num_answers: int, begin: Begin, tasks: TaskSet) -> None:
        self.streams = [GenerationStream(partial(self._cancel, i)) for i in range(num_answers)]
        self._begun: Sequence[EngineGeneration] = ()
        self._task = tasks.spawn(self._run(begin))
        self._task.add_done_callback(self._end)

    def _cancel(self, number: int) -> None:
        """Takes effect at once while nothing has begun, else when the engine does it."""
        if self._begun:
            self._begun[number].cancel()
            return
        self.streams[number].put(Finished(FinishReason.CANCELLED))
        if not self._unfinished:
            self._task.cancel()

    async def _run(self, begin: Begin) -> None:
        try:
            self._begun = await begin(self._tell)
            await asyncio.gather(*map(_relay, self._begun, self.streams))
        except ParleyError as error:
            for stream in self._unfinished:
                stream.fail(error)
        finally:
            for generation in self._begun:
                generation.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        """A defect, which is logged, or Parley stops."""
        is_defect = not task.cancelled() and task.exception() is not None
        last = Finished(FinishReason.ERROR, detail=ANSWER_FAILED)
        for stream in self._unfinished:
            stream.put(last if is_defect else Finished(FinishReason.CANCELLED))

    @property
    def _unfinished(self) -> list[GenerationStream]:
        return [each for each in self.streams if not each.is_finished]

    def _tell(self, text: str) -> None:
        for stream in self._unfinished:
            stream.put(Progress(text))


async def _relay(generation: EngineGeneration, stream: GenerationStream) -> None:
    if stream.is_finished:
        generation.cancel()
        return
    try:
        async for event in generation:
            stream.put(event)
    except ParleyError as error:  # of one answer; the others go on
        stream.fail(error)
