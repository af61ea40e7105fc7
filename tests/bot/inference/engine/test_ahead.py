"""A step that is planned while the one before it runs, and goes on at once with its tokens."""

from __future__ import annotations

import asyncio
import threading

from bot.generation import FinishReason
from bot.inference.core.model import NoRoom
from bot.inference.core.sequence import Step
from bot.inference.engine.worker import computing_thread
from bot.metrics import Metrics
from tests.bot.inference.engine.test_service import engine, num_published, request
from tests.bot.inference.letters import Engine
from tests.bot.inference.streams import read, until
from tests.fakes.model import FakeModel, broken_step

LETTERS = "abcdefghijklmnopqrst"


def num_ahead(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("parley_steps_ahead_total") or 0


def computed(model: FakeModel) -> list[Step]:
    return [step for step in model.steps if step.chunks]


async def decoding(model: FakeModel, metrics: Metrics) -> None:
    """So far that the fifth step, of replies, runs, and the one after it was begun."""
    model.allow(4)
    await until(lambda: num_published(metrics) == 4)


async def test_a_reply_is_the_same_and_no_step_too_many_is_computed() -> None:
    metrics, model = Metrics(), FakeModel(lambda _: LETTERS)
    async with engine(model, metrics) as service:
        text, finished = await read(await service.generate(request()))
    assert (text, finished.reason) == (LETTERS, FinishReason.STOP)
    assert num_ahead(metrics) > len(LETTERS) / 2
    assert len(computed(model)) == len(LETTERS) + 1  # the last one samples the end


async def test_replies_of_several_lengths_end_beside_each_other() -> None:
    metrics, model = Metrics(), FakeModel(lambda prompt: LETTERS * len(prompt))
    async with engine(model, metrics) as service:
        asked = [request("x" * size, person=f"p{size}") for size in range(1, 5)]
        streams = [await service.generate(each) for each in asked]
        replies = await asyncio.gather(*map(read, streams))
    assert [text for text, _ in replies] == [LETTERS * size for size in range(1, 5)]
    assert num_ahead(metrics) > len(LETTERS)


async def test_who_asks_while_a_step_runs_is_in_the_next_one() -> None:
    metrics, model = Metrics(), FakeModel(lambda _: LETTERS, stepwise=True)
    async with engine(model, metrics) as service:
        first = await service.generate(request("a", person="ada"))
        await decoding(model, metrics)
        second = await service.generate(request("b", person="bob"))
        model.allow(2)
        await until(lambda: len(model.steps) == 6)
        assert [step.opens for step in model.steps[4:]] == [False, True]
        model.allow(1_000)
        assert [(await read(each))[0] for each in (first, second)] == [LETTERS] * 2
    assert num_ahead(metrics) > 0


async def test_who_asks_while_another_model_computes_is_in_the_next_step() -> None:
    """Though that step was planned before, and now waits behind the other model's."""
    metrics, model = Metrics(), FakeModel(lambda _: LETTERS, stepwise=True)
    may_end = threading.Event()
    with computing_thread() as thread:
        async with engine(model, metrics, thread=thread) as service:
            first = await service.generate(request("a", person="ada"))
            await decoding(model, metrics)
            other = thread.submit(may_end.wait)
            model.allow(2)
            await until(lambda: num_published(metrics) == 6)
            second = await service.generate(request("b", person="bob"))
            may_end.set()
            model.allow(1)
            await until(lambda: len(model.steps) == 7)
            assert [step.opens for step in model.steps[5:]] == [False, True]
            model.allow(1_000)
            assert [(await read(each))[0] for each in (first, second)] == [LETTERS] * 2
        assert other.result()


async def test_a_reply_that_is_stopped_while_a_step_runs_gets_no_further_one() -> None:
    metrics, model = Metrics(), FakeModel(lambda _: LETTERS, stepwise=True)
    async with engine(model, metrics) as service:
        stream = await service.generate(request())
        await decoding(model, metrics)
        stream.cancel()
        model.allow(1_000)
        await until(lambda: model.num_used == 0 or not model.steps[-1].chunks)
        assert len(computed(model)) == 5


async def test_a_step_without_room_takes_the_one_after_it_back() -> None:
    metrics, model = Metrics(), FakeModel(lambda _: LETTERS, stepwise=True)
    async with engine(model, metrics) as service:
        streams = [await service.generate(request(person=name)) for name in ("ada", "bob")]
        await decoding(model, metrics)
        model.failures = [NoRoom()]
        model.allow(1)
        scheduler = service._scheduler
        await until(lambda: scheduler.stats.num_preempted == 1 and len(scheduler.running) == 2)
        num_tokens = sum(len(sequence.tokens) for sequence in scheduler.running)
        assert scheduler.stats.num_cells_used == num_tokens  # all of them, in the step that runs
        model.allow(1_000)
        replies = await asyncio.gather(*map(read, streams))
        assert [text for text, _ in replies] == [LETTERS] * 2
        assert num_ahead(metrics) > 0
        await until(lambda: scheduler.stats.num_cells_used == model.num_used)


async def test_after_a_step_that_fails_the_one_after_it_is_not_computed() -> None:
    metrics, model = Metrics(), FakeModel(lambda _: LETTERS, stepwise=True)
    async with engine(model, metrics) as service:
        stream = await service.generate(request())
        await decoding(model, metrics)
        model.failures = [broken_step()]
        model.allow(1_000)
        assert (await read(stream))[1].reason is FinishReason.ERROR
        assert len(computed(model)) == 5
        assert (await read(await service.generate(request())))[0] == LETTERS
        assert model.num_resets == 1


def running(
    made: Engine, *, waiting: int = 0, limit: int = 20, is_background: bool = False
) -> Step:
    """A step of four replies, as many as may run, with no end of them in it."""
    for number in range(4 + waiting):
        one = made.sequence("?", person=f"p{number}", limit=limit)
        one.is_background = is_background and number < 4
        made.policy.add(one)
    for _ in range(20):
        made.policy._planner.may_draft = False  # as after a step without room
        step = made.plan()
        assert step is not None
        if step.num_decode == 4 and not step.num_prefill and not step.actions:
            return step
        made.run(step)
    raise AssertionError("they do not decode together")


def test_a_full_house_plans_ahead_though_others_wait() -> None:
    made = Engine()
    following = made.policy.plan_ahead(running(made, waiting=2))
    assert following is not None
    assert [chunk.tokens for chunk in following.chunks] == [[-2]] * 4


def test_nothing_is_planned_ahead_where_somebody_can_be_admitted() -> None:
    made = Engine()
    step = running(made)
    made.policy.finish(made.policy.running[0], FinishReason.CANCELLED)
    made.policy.add(made.sequence("!", person="new"))
    assert made.policy.plan_ahead(step) is None


def test_background_work_makes_place_before_anything_is_planned_ahead() -> None:
    made = Engine()
    step = running(made, is_background=True)
    assert made.policy.plan_ahead(step) is not None
    made.policy.take_back(step)
    made = Engine()
    step = running(made, is_background=True)
    made.policy.add(made.sequence("!", person="new"))
    assert made.policy.plan_ahead(step) is None


def test_nothing_is_planned_after_a_replys_last_token() -> None:
    made, planned = Engine(), []
    one = made.sequence("?", limit=5)
    made.policy.add(one)
    while not one.is_finished:
        step = made.plan()
        assert step is not None
        made.plan_ahead(step)
        planned.append(made._ahead is not None)
        made.run(step)
    assert planned == [False, False, True, True, False]  # first the prompt, and to share it
    assert len(made.model.steps) == 5


def test_a_reply_that_a_draft_is_worth_for_has_it_in_the_next_step() -> None:
    made = Engine(drafts_err_at=5)
    step = running(made)
    made.policy._planner.may_draft = True
    assert made.policy.plan_ahead(step) is None
    made.policy._planner.may_draft = False
    assert made.policy.plan_ahead(step) is not None
