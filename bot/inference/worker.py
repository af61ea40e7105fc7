"""The one thread that computes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from bot.inference.model import Model, NoRoom, NotRestored
from bot.inference.sequence import Step

T = TypeVar("T")


class ModelWorker:
    """``is_sound``: the model's memory is what the plan says; if not, it starts afresh."""

    def __init__(self, model: Model, gate: AbstractContextManager[object] | None = None) -> None:
        """``gate`` is entered for whatever is done: waiting for it is no part of a step."""
        self.is_sound = True
        self._model = model
        self._gate = gate or nullcontext()
        self._thread = ThreadPoolExecutor(1, "parley-model")

    def begin(self, step: Step) -> asyncio.Future[tuple[dict[int, int], float]]:
        """What ``Model.run`` gives and raises, and the seconds it took.

        The step is done whether or not somebody still waits for it: the plan counts on it.
        """
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._thread, self._gated, self._run, step)
        return asyncio.shield(running)

    async def call(self, do: Callable[[], T]) -> T:
        """Behind what is under way."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._gated, do)

    def shutdown(self) -> None:
        self._thread.shutdown()

    def _gated(self, do: Callable[..., T], *arguments: object) -> T:
        with self._gate:
            return do(*arguments)

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
