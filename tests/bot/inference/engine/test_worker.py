"""Models that share a thread run their steps one at a time, in the order of submission."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from bot.inference.core.model import StepFailed
from bot.inference.core.sequence import Step
from bot.inference.engine.worker import ModelWorker, computing_thread
from tests.fakes.model import FakeModel


class Noting(FakeModel):
    """Records which model computes; waits for ``may_go`` first."""

    def __init__(self, name: str, notes: list[str]) -> None:
        super().__init__(lambda prompt: prompt)
        self.name, self._notes = name, notes
        self.may_go = threading.Event()
        self.may_go.set()
        self.fails = False

    def run(self, step: Step) -> dict[int, list[int]]:
        assert self.may_go.wait(10)
        self._notes.append(self.name)
        if self.fails:
            raise StepFailed("as asked")
        return {}


STEP = Step([], [])


async def test_steps_run_in_the_order_of_submission() -> None:
    notes: list[str] = []
    models = Noting("a", notes), Noting("b", notes)
    models[0].may_go.clear()
    with computing_thread() as thread:
        workers = [ModelWorker(model, thread) for model in models]
        steps = [workers[i].begin(STEP) for i in (0, 1, 1, 0)]
        assert notes == []
        models[0].may_go.set()
        await asyncio.gather(*steps)
    assert notes == ["a", "b", "b", "a"]


class Asked(ThreadPoolExecutor):
    """Signals the next submission."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked = threading.Semaphore(0)

    def submit(self, *work: Any, **options: Any) -> Future[Any]:
        future = super().submit(*work, **options)
        self.asked.release()
        return future


async def test_shutting_one_down_waits_for_its_own_step_and_leaves_the_thread() -> None:
    notes: list[str] = []
    models = Noting("a", notes), Noting("b", notes)
    models[0].may_go.clear()
    with Asked() as thread:
        one, other = (ModelWorker(model, thread) for model in models)
        step = one.begin(STEP)
        assert await asyncio.to_thread(thread.asked.acquire, timeout=10)
        ending = asyncio.create_task(asyncio.to_thread(one.shutdown))
        assert await asyncio.to_thread(thread.asked.acquire, timeout=10)
        assert not ending.done()
        models[0].may_go.set()
        await ending
        assert notes == ["a"]
        await step
        await other.begin(STEP)
    assert notes == ["a", "b"]


async def test_a_failed_step_does_not_block_the_next_one() -> None:
    notes: list[str] = []
    models = Noting("a", notes), Noting("b", notes)
    models[0].fails = True
    with computing_thread() as thread:
        one, other = (ModelWorker(model, thread) for model in models)
        with pytest.raises(StepFailed):
            await one.begin(STEP)
        await other.begin(STEP)
        assert (one.is_sound, other.is_sound) == (False, True)


async def test_a_step_that_nobody_waits_for_any_more_runs_all_the_same() -> None:
    notes: list[str] = []
    model = Noting("a", notes)
    model.may_go.clear()
    troubles: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
    with computing_thread() as thread:
        worker = ModelWorker(model, thread)
        left, awaited = worker.begin(STEP), worker.begin(STEP)
        left.cancel()
        model.may_go.set()
        await awaited
    assert notes == ["a", "a"]
    assert not troubles


async def test_a_worker_alone_ends_its_own_thread() -> None:
    before = set(threading.enumerate())
    worker = ModelWorker(Noting("a", []))
    await worker.begin(STEP)
    others = set(threading.enumerate()) - before
    named = [t for t in others if t.name.startswith("parley-model")]
    await asyncio.to_thread(worker.shutdown)
    assert named
    assert not any(thread.is_alive() for thread in named)
