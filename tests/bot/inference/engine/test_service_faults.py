"""After any failure inside the engine every reply ends and ``is_healthy`` shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.errors import EngineFailed
from bot.generation import Finished, FinishReason
from bot.inference.core.sequence import Sequence, Step
from bot.inference.engine import service as service_module
from bot.inference.engine.replies import Reply
from bot.inference.kv_cache.manager import KVCacheManager
from bot.inference.scheduling.scheduler import Scheduler
from bot.inference.state_store.store import StateStore
from bot.metrics import Metrics
from bot.stream import GenerationStream
from tests.bot.inference.engine import test_offloading as saved
from tests.bot.inference.engine.test_service import engine, request
from tests.bot.inference.streams import read, until
from tests.fakes.model import FakeModel, broken_step


class Defect(BaseException):
    """A failure that is not an ``Exception``."""


def defect(*_: object, **__: object) -> None:
    raise RuntimeError("a planning bug")


async def ended(asked: list[GenerationStream]) -> list[Finished]:
    async with asyncio.timeout(10):
        return [(await read(stream))[1] for stream in asked]


@contextmanager
def plan_fails_once_after_an_end(error: BaseException) -> Iterator[None]:
    """Planning fails in the step after the one in which a reply ended."""
    has_ended = False
    apply, plan = Scheduler.apply, Scheduler.plan

    def watched(
        policy: Scheduler,
        step: Step,
        sampled: Mapping[int, list[int]],
        is_end: Callable[[int], bool],
    ) -> list[Sequence]:
        nonlocal has_ended
        advanced = apply(policy, step, sampled, is_end)
        has_ended = any(sequence.is_finished for sequence in advanced)
        return advanced

    def broken(policy: Scheduler) -> Step | None:
        nonlocal has_ended
        if has_ended:
            has_ended = False
            raise error
        return plan(policy)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scheduler, "apply", watched)
        patch.setattr(Scheduler, "plan", broken)
        yield


async def test_a_complete_reply_is_emitted_though_the_next_step_cannot_be_planned() -> None:
    async with engine(FakeModel(lambda prompt: prompt.upper())) as service:
        with plan_fails_once_after_an_end(RuntimeError("a planning bug")):
            async with asyncio.timeout(10):
                text, finished = await read(await service.generate(request("hello")))
        assert (text, finished.reason) == ("HELLO", FinishReason.STOP)
        assert (await read(await service.generate(request("again"))))[0] == "AGAIN"


async def test_after_a_failure_running_replies_fail_and_queued_ones_are_answered() -> None:
    model = FakeModel(lambda prompt: prompt * 4, stepwise=True)
    async with engine(model, running=2) as service:
        short = await service.generate(request("a", person="a"))
        long = await service.generate(request("b" * 9, person="b"))
        model.allow(2)
        await until(lambda: service.num_running == 2)
        waiting = await service.generate(request("c", person="c"))
        with plan_fails_once_after_an_end(RuntimeError("a planning bug")):
            model.allow(100)
            reasons = [each.reason for each in await ended([short, long, waiting])]
        assert reasons == [FinishReason.STOP, FinishReason.ERROR, FinishReason.STOP]
        assert service.is_healthy


async def test_a_pool_with_wrong_bookkeeping_is_given_up_with_its_running_replies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = FakeModel(lambda prompt: prompt.upper(), stepwise=True)
    async with engine(model, running=1) as service:
        unlucky = await service.generate(request("hello", person="a"))
        await until(lambda: service.num_running == 1)
        waiting = await service.generate(request("you", person="b"))
        with monkeypatch.context() as patch:
            patch.setattr(KVCacheManager, "retire", defect)
            model.failures = [broken_step()]
            model.allow(1)
            [finished] = await ended([unlucky])
        assert "ask again" in finished.detail
        model.allow(100)
        assert (await read(waiting))[0] == "YOU"


async def test_a_reply_that_cannot_be_emitted_ends_and_does_not_block_others_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with engine(FakeModel(lambda prompt: prompt * 3)) as service:
        with monkeypatch.context() as patch:
            patch.setattr(Reply, "show", defect)
            asked = [await service.generate(request(text, person=text)) for text in "abc"]
            assert {each.reason for each in await ended(asked)} == {FinishReason.ERROR}
        assert (await read(await service.generate(request("d"))))[0] == "ddd"


async def test_a_failure_that_cannot_be_recovered_from_ends_queued_replies_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = FakeModel(lambda prompt: prompt.upper(), stepwise=True)
    async with engine(model, running=1) as service:
        running = await service.generate(request("hello", person="a"))
        await until(lambda: service.num_running == 1)
        waiting = await service.generate(request("you", person="b"))
        with monkeypatch.context() as patch:
            patch.setattr(Scheduler, "lose_everything", defect)
            model.failures = [broken_step()]
            model.allow(1)
            for finished in await ended([running, waiting]):
                assert finished.reason is FinishReason.ERROR
                assert "ask again" in finished.detail
        assert not service.is_healthy
        with pytest.raises(EngineFailed, match="not running"):
            await service.generate(request("more"))


async def test_a_dead_loop_is_not_healthy_and_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = FakeModel(stepwise=True)
    async with engine(model, running=1) as service:
        running = await service.generate(request(person="a"))
        await until(lambda: service.num_running == 1)
        waiting = await service.generate(request(person="b"))
        with monkeypatch.context() as patch:
            patch.setattr(model, "run", _raise_defect)
            patch.setattr(Scheduler, "plan", _raise_defect)
            model.allow(1)
            assert {each.reason for each in await ended([running, waiting])} == {FinishReason.ERROR}
        assert not service.is_healthy
        with pytest.raises(EngineFailed):
            await service.count([])
    assert model.is_closed


def _raise_defect(*_: object) -> None:
    raise Defect


async def test_a_question_is_refused_if_the_loop_dies_while_it_is_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = FakeModel()
    async with engine(model) as service:
        asking = asyncio.create_task(service.generate(request()))
        await asyncio.sleep(0)
        assert service._loop_task is not None
        monkeypatch.setattr(Scheduler, "plan", _raise_defect)
        service._work.set()
        await asyncio.wait([service._loop_task])
        with pytest.raises(EngineFailed, match="not running"):
            await asking


async def test_a_question_for_which_no_step_can_be_planned_is_refused_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with engine(FakeModel()) as service:
        with monkeypatch.context() as patch:
            patch.setattr(Scheduler, "plan", defect)
            asked = await service.generate(request())
            [finished] = await ended([asked])
            assert finished.reason is FinishReason.ERROR
        assert not service.is_healthy


async def test_a_failure_while_a_step_computes_waits_for_that_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The model is reset only after that step, which would write into the new pool."""
    metrics, model = Metrics(), FakeModel(lambda prompt: prompt * 9, stepwise=True)
    async with engine(model, metrics) as service:
        unlucky = await service.generate(request("ab"))
        await until(lambda: service.num_running == 1)
        model.allow(1)
        with monkeypatch.context() as patch:
            patch.setattr(Reply, "show", defect)
            await until(lambda: len(model.steps) == 1)
            for _ in range(100):
                await asyncio.sleep(0)
        model.allow(100)
        await ended([unlucky])
        assert (await read(await service.generate(request("cd"))))[0] == "cd" * 9
    assert model.num_resets == 1


async def test_a_thread_whose_state_is_defective_is_evaluated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with saved.engine(tmp_path, memory=0) as parley:
        for thread in range(8):
            await parley.ask(thread)
        await parley.until_on_disk()
        monkeypatch.setattr(StateStore, "read", _no_memory)
        async with asyncio.timeout(10):
            finished = await parley.ask(0, "?")
        assert (finished.reason, finished.usage.cached_tokens) == (FinishReason.STOP, 0)


def _no_memory(*_: object) -> None:
    raise MemoryError


async def test_a_step_that_does_not_end_shows_though_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = FakeModel(stepwise=True)
    async with engine(model) as service:
        stream = await service.generate(request("a"))
        await until(lambda: service.num_running == 1)
        assert service.is_healthy
        with monkeypatch.context() as patch:
            patch.setattr(service_module, "_MAX_STEP_SECONDS", 0.0)
            await until(lambda: not service.is_healthy)
        model.allow(100)
        await ended([stream])
        with monkeypatch.context() as patch:
            patch.setattr(service_module, "_MAX_STEP_SECONDS", 0.0)
            await until(lambda: service.is_healthy)
