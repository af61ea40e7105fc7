"""The one thread that computes, for one model or for several in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bot.inference.core.model import Model, NoRoom, NotRestored
from bot.inference.core.sequence import Step

T = TypeVar("T")


def computing_thread() -> ThreadPoolExecutor:
    """One for all models: they compute in turn, in the order in which their steps are asked for.

    Two that share the cores make both slower than in turn. And OpenMP keeps helpers for every
    thread that computed: once they are more than the cores, none of them waits awake for the
    next step any more, which cost a third of the speed.
    """
    return ThreadPoolExecutor(1, "parley-model")


class ModelWorker:
    """``is_sound``: the model's memory is what the plan says; if not, it starts afresh."""

    def __init__(self, model: Model, thread: ThreadPoolExecutor | None = None) -> None:
        """``thread``: one that others use, too, and that stays with them; else one of its own."""
        self.is_sound = True
        self._model = model
        self._owns_thread = thread is None
        self._thread = thread or computing_thread()

    def begin(self, step: Step) -> asyncio.Future[tuple[dict[int, int], float]]:
        """What ``Model.run`` gives and raises, and the seconds it took.

        The step is done whether or not somebody still waits for it: the plan counts on it.
        """
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._thread, self._run, step)
        return asyncio.shield(running)

    async def call(self, do: Callable[[], T]) -> T:
        """Behind what is under way."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    async def until_idle(self) -> None:
        """What is under way has ended."""
        await self.call(_nothing)

    def shutdown(self) -> None:
        """Blocks until nothing of this model's is under way."""
        if self._owns_thread:
            self._thread.shutdown()
        else:
            self._thread.submit(_nothing).result()

    def _run(self, step: Step) -> tuple[dict[int, int], float]:
        if not self.is_sound:
            self._model.reset()
        self.is_sound = False  # until it ends well
        started = time.perf_counter()
        try:
            sampled = self._model.run(step)
        except (NoRoom, NotRestored):
            self.is_sound = True
            raise
        self.is_sound = True
        return sampled, time.perf_counter() - started


def _nothing() -> None:
    pass
