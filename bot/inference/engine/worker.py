"""The one thread that runs steps, for one model or for several in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from bot.inference.core.model import Model, NoRoom, NotRestored
from bot.inference.core.sequence import Step

S = TypeVar("S")
T = TypeVar("T")

Computed = tuple[dict[int, list[int]], float]
"""The result of ``Model.run`` and the seconds it took."""


def computing_thread() -> ThreadPoolExecutor:
    """One thread for all models: it runs their steps in the order of submission.

    Two models that compute at once share the cores and are both slower than in turn. And
    OpenMP keeps helper threads for every thread that computed: once these outnumber the cores,
    they sleep between steps instead of spinning, which cost a third of the speed.
    """
    return ThreadPoolExecutor(1, "parley-model")


class StepAhead:
    """A step that follows one which still runs. ``computing``: None if it was not computed."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.is_withdrawn = False
        self.computing: asyncio.Future[Computed | None]

    def withdraw(self) -> None:
        """It is not to be computed, unless that has begun."""
        self.is_withdrawn = True


class ModelWorker:
    """Runs the steps of one model on a thread.

    ``is_sound``: the KV pool holds what the scheduler planned. If not, the model is reset
    before the next step.
    """

    def __init__(self, model: Model, thread: ThreadPoolExecutor | None = None) -> None:
        """``thread`` is shared with other models and not shut down here; None: an own one."""
        self.is_sound = True
        self._model = model
        self._began_at: float | None = None
        self._sampled: dict[int, list[int]] = {}
        self._owns_thread = thread is None
        self._thread = thread or computing_thread()

    def begin(self, step: Step) -> asyncio.Future[Computed]:
        """Raises what ``Model.run`` raises.

        A caller that is cancelled does not cancel the step, since the plan counts on it.
        """
        return self._submit(self._run, step)

    def begin_ahead(self, step: Step) -> StepAhead:
        """Once the step before has ended, this one goes on with its tokens at once.

        It is not computed if it was withdrawn, or if a reply has ended, or the step has failed.
        """
        ahead = StepAhead(step)
        ahead.computing = self._submit(self._run_ahead, ahead)
        return ahead

    @property
    def seconds(self) -> float:
        """How long the step that runs now has been running; 0 if none does."""
        began_at = self._began_at
        return 0.0 if began_at is None else time.monotonic() - began_at

    def _submit(self, do: Callable[[S], T], argument: S) -> asyncio.Future[T]:
        """The outcome takes one turn of the loop; an executor's future in a shield takes three.

        Whoever no longer waits for it cancels nothing.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                settle = partial(outcome.set_result, do(argument))
            except BaseException as error:
                settle = partial(outcome.set_exception, error)
            loop.call_soon_threadsafe(_unless_cancelled, outcome, settle)

        self._thread.submit(work)
        return outcome

    async def call(self, do: Callable[[], T]) -> T:
        """Call ``do`` on the thread, after the steps that were submitted before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    async def until_idle(self) -> None:
        """Returns when the submitted steps have ended."""
        await self.call(_nothing)

    def shutdown(self) -> None:
        """Blocks until no step of this model is running."""
        if self._owns_thread:
            self._thread.shutdown()
        else:
            self._thread.submit(_nothing).result()

    def _run_ahead(self, ahead: StepAhead) -> Computed | None:
        step = None if ahead.is_withdrawn else ahead.step.after(self._sampled, self._model.is_end)
        if step is None:
            self._sampled = {}  # there is nothing to go on with for the one after it, either
            return None
        return self._run(step)

    def _run(self, step: Step) -> Computed:
        self._sampled = {}  # until the step succeeds
        if not self.is_sound:
            self._model.reset()
        self.is_sound = False  # until the step succeeds
        started = time.perf_counter()
        self._began_at = time.monotonic()
        try:
            sampled = self._model.run(step)
        except (NoRoom, NotRestored):
            self.is_sound = True
            raise
        finally:
            self._began_at = None
        self.is_sound = True
        self._sampled = sampled
        return sampled, time.perf_counter() - started


def _unless_cancelled(outcome: asyncio.Future[T], settle: Callable[[], None]) -> None:
    if not outcome.cancelled():
        settle()


def _nothing() -> None:
    pass
