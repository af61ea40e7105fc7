"""``strategy: plan``: steps that are worked out at once, and joined in their order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.answer_formats import JsonObject, JsonSchema
from bot.errors import EngineFailed, ParleyError, PromptTooLong, QueueFull, UnsupportedFormat
from bot.generation import ChatMessage, Finished, FinishReason, Progress, Sampling, Usage
from bot.metrics import Metrics
from bot.strategies.answering import Answering
from tests.bot.strategies.asking import (
    ASKED,
    PLAN,
    count,
    end_of,
    heard,
    tasks_of_strategies,
    text_of,
    until,
)
from tests.fakes.clock import FakeClock, settle
from tests.fakes.generator import ScriptedGeneration, ScriptedGenerator


def plan(*steps: str) -> str:
    return json.dumps({"steps": steps})


class Bench:
    """A model that a test leads, or that plays its replies."""

    def __init__(self) -> None:
        self.model = ScriptedGenerator()
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.answering = Answering(self.model, self.metrics, self.clock)

    @property
    def steps(self) -> list[ScriptedGeneration]:
        """The calls after that for the plan."""
        return self.model.generations[1:]

    def num_plans(self, outcome: str) -> float:
        return count(self.metrics, "plans_total", outcome=outcome)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_the_steps_stand_below_their_headings_in_their_order(bench: Bench) -> None:
    bench.model.replies += [plan("Name the gases", "2. Explain *scattering*."), "Air.", "\nLight."]
    events = await heard(await bench.answering.generate(ASKED, PLAN))
    assert text_of(events) == (
        "**1. Name the gases**\n\nAir.\n\n**2. Explain scattering**\n\nLight."
    )
    assert end_of(events).reason is FinishReason.STOP
    assert (bench.num_plans("solved"), count(bench.metrics, "plan_steps_total")) == (1, 2)


async def test_the_plan_is_a_list_of_at_most_so_many_steps(bench: Bench) -> None:
    bench.model.replies.append(plan("One"))
    bench.model.replies.append("So.")
    request = replace(ASKED, stop=("\n",), asked_sampling=frozenset({"top_k"}))
    await heard(await bench.answering.generate(request, replace(PLAN, max_steps=3)))
    asked = bench.model.generations[0].request
    assert isinstance(asked.answer_format, JsonSchema)
    steps = json.loads(asked.answer_format.schema)["properties"]["steps"]
    assert (steps["minItems"], steps["maxItems"]) == (1, 3)
    assert (asked.sampling, asked.stop, asked.asked_sampling) == (
        Sampling(temperature=0),
        (),
        frozenset(),
    )
    assert asked.messages[0] == ASKED.messages[0]
    assert asked.messages[1].content.startswith("Why is the sky blue?\n\n")


async def test_every_step_begins_with_the_messages_of_the_plan(bench: Bench) -> None:
    bench.model.replies += [plan("One", "Two", "Three"), "a", "b", "c"]
    await heard(await bench.answering.generate(ASKED, PLAN))
    planned, *steps = (each.request for each in bench.model.generations)
    assert planned.shares_prompt
    assert planned.thread == ASKED.thread
    for step, text in zip(steps, ("One", "Two", "Three"), strict=True):
        assert step.messages[:-2] == planned.messages
        assert step.messages[-2] == ChatMessage("assistant", text)
        assert (step.thread, step.scope, step.person) == (None, ASKED.scope, "ada")
        assert step.max_tokens == ASKED.max_tokens // 3


async def test_all_steps_are_asked_at_once(bench: Bench) -> None:
    bench.model.replies.append(plan(*"abcdefgh"))
    stream = await bench.answering.generate(ASKED, PLAN)
    await until(bench.clock, lambda: len(bench.steps) == 8)
    assert not any(each.finished for each in bench.steps)
    stream.cancel()


async def test_a_later_step_is_held_until_those_before_it_are_out(bench: Bench) -> None:
    bench.model.replies.append(plan("One", "Two"))
    stream = await bench.answering.generate(ASKED, PLAN)
    await until(bench.clock, lambda: len(bench.steps) == 2)
    first, second = bench.steps
    second.say("Light.")
    first.say("Air")
    await settle()
    assert text_of([await anext(stream)]) == "**1. One**\n\nAir"
    second.finish()
    await settle()
    first.say(".")
    first.finish()
    rest = await heard(stream)
    assert text_of(rest) == ".\n\n**2. Two**\n\nLight."
    assert not any(isinstance(event, Progress) for event in rest)


async def test_people_see_how_far_it_is(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, PLAN)
    planning = await bench.model.started()
    planning.say('{"steps": ')
    assert await anext(stream) == Progress("planning")
    planning.say('["One", "Two"]}')
    planning.finish()
    assert await anext(stream) == Progress("2 steps, 0 done")
    await settle()
    bench.steps[1].finish()
    assert await anext(stream) == Progress("2 steps, 1 done")
    stream.cancel()


@pytest.mark.parametrize("steps", [("One",), ("One", " one ", "1. ONE")])
async def test_a_plan_of_one_step_is_answered_at_once(bench: Bench, steps: tuple[str, ...]) -> None:
    bench.model.replies += [plan(*steps), "Light scatters."]
    events = await heard(await bench.answering.generate(ASKED, PLAN))
    assert text_of(events) == "Light scatters."
    assert bench.steps[0].request == ASKED
    assert bench.num_plans("one") == 1


@pytest.mark.parametrize("reply", ["", '{"steps": ["On', "[]", '{"steps": [1]}', '{"steps": 1}'])
async def test_what_is_no_plan_is_answered_at_once(bench: Bench, reply: str) -> None:
    bench.model.replies += [reply, "Light scatters."]
    events = await heard(await bench.answering.generate(ASKED, PLAN))
    assert (text_of(events), bench.num_plans("none")) == ("Light scatters.", 1)


@pytest.mark.parametrize(
    "refusal", [PromptTooLong(9, 8), UnsupportedFormat("It cannot be held to a schema.")]
)
async def test_where_no_plan_can_be_made_it_is_answered_at_once(
    bench: Bench, refusal: ParleyError
) -> None:
    bench.model.failures.append(refusal)
    bench.model.replies.append("Light scatters.")
    events = await heard(await bench.answering.generate(ASKED, PLAN))
    assert (text_of(events), bench.num_plans("none")) == ("Light scatters.", 1)


async def test_a_plan_that_proves_too_long_far_away_is_done_without(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, PLAN)
    bench.model.replies.append("Light scatters.")
    (await bench.model.started()).refuse(PromptTooLong(9, 8))
    assert text_of(await heard(stream)) == "Light scatters."


async def test_a_full_queue_is_told_who_asks(bench: Bench) -> None:
    bench.model.failures.append(QueueFull(3.0))
    with pytest.raises(QueueFull):
        await bench.answering.generate(ASKED, PLAN)


async def test_steps_for_which_there_is_no_room_wait_for_those_before_them(bench: Bench) -> None:
    bench.model.replies.append(plan(*"abcd"))
    bench.model.max_unfinished = 2
    stream = await bench.answering.generate(ASKED, PLAN)
    for number in range(4):
        await until(bench.clock, lambda: len(bench.steps) == min(4, number + 2))  # noqa: B023
        bench.steps[number].say(str(number))
        bench.steps[number].finish()
    text = text_of(await heard(stream))
    assert text == "\n\n".join(f"**{n + 1}. {step}**\n\n{n}" for n, step in enumerate("abcd"))


async def test_where_others_fill_the_queue_the_steps_are_asked_again_in_a_while(
    bench: Bench,
) -> None:
    stream = await bench.answering.generate(ASKED, PLAN)
    planning = await bench.model.started()
    bench.model.failures += [QueueFull(3.0)]
    bench.model.replies += ["Air.", "Light."]
    planning.say(plan("One", "Two"))
    planning.finish()
    await settle()
    assert bench.steps == []
    await bench.clock.advance(3.0)
    assert text_of(await heard(stream)).count("**") == 4


async def test_a_step_that_fails_says_so_and_the_others_stand(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, PLAN)
    planning = await bench.model.started()
    planning.say(plan("One", "Two", "Three"))
    bench.model.failures.append(EngineFailed("It fell over."))
    planning.finish()
    await until(bench.clock, lambda: len(bench.steps) == 2)
    two, three = bench.steps
    two.say("Lig")
    two.finish(FinishReason.ERROR, "It broke.")
    three.say("Done.")
    three.finish()
    events = await heard(stream)
    assert text_of(events) == (
        "**1. One**\n\n_This step failed. It fell over._\n\n"
        "**2. Two**\n\nLig\n\n_This step failed. It broke._\n\n"
        "**3. Three**\n\nDone."
    )
    assert end_of(events).reason is FinishReason.STOP
    assert bench.num_plans("partly") == 1


async def test_where_all_steps_fail_so_does_the_reply(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, PLAN)
    planning = await bench.model.started()
    planning.say(plan("One", "Two"))
    bench.model.failures += [EngineFailed("It fell over."), EngineFailed("It did again.")]
    planning.finish()
    last = end_of(await heard(stream))
    assert (last.reason, last.detail) == (FinishReason.ERROR, "It fell over.")
    assert bench.num_plans("failed") == 1


async def test_a_step_without_text_is_told(bench: Bench) -> None:
    bench.model.replies += [plan("One", "Two"), "", "Light."]
    text = text_of(await heard(await bench.answering.generate(ASKED, PLAN)))
    assert "**1. One**\n\n_The model had nothing to say about this step._\n\n**2." in text


async def test_a_step_that_is_cut_off_says_so_and_runs_into_no_other(bench: Bench) -> None:
    bench.model.replies.append(plan("First", "Second", "Third"))
    stream = await bench.answering.generate(ASKED, PLAN)
    await until(bench.clock, lambda: len(bench.steps) == 3)
    for step in bench.steps:
        step.say("```py\na = 1")
        step.finish(FinishReason.LENGTH)
    whole = "```py\na = 1\n```\n\n_(cut off at the length limit)_"
    headings = (f"**{number}. {name}**" for number, name in ((1, "First"), (2, "Second")))
    before = "".join(f"{heading}\n\n{whole}\n\n" for heading in headings)
    assert text_of(await heard(stream)) == f"{before}**3. Third**\n\n```py\na = 1"


async def test_a_single_step_for_which_there_is_no_room_waits_for_it(bench: Bench) -> None:
    bench.model.replies.append(plan("Only"))
    stream = await bench.answering.generate(ASKED, PLAN)
    bench.model.failures.append(QueueFull(3.0))
    bench.model.replies.append("Light scatters.")
    await bench.clock.advance(3.0)
    assert text_of(await heard(stream)) == "Light scatters."


async def test_a_last_step_that_is_cut_off_can_be_continued(bench: Bench) -> None:
    bench.model.replies += [plan("One", "Two"), "Air."]
    stream = await bench.answering.generate(ASKED, PLAN)
    second = await bench.model.started()
    second.say("Lig")
    second.finish(FinishReason.LENGTH)
    events = await heard(stream)
    assert end_of(events).reason is FinishReason.LENGTH
    bench.model.replies.append("ht.")
    begun = ChatMessage("assistant", text_of(events), is_open=True)
    request = replace(ASKED, messages=(*ASKED.messages, begun))
    assert text_of(await heard(await bench.answering.generate(request, PLAN))) == "ht."
    assert bench.model.generations[-1].request == request


async def test_usage_is_the_sum_of_plan_and_steps(bench: Bench) -> None:
    bench.model.replies.append(plan("One", "Two"))
    stream = await bench.answering.generate(ASKED, PLAN)
    await until(bench.clock, lambda: len(bench.steps) == 2)
    planned = bench.model.generations[0].finished
    assert planned
    for step in bench.steps:
        step.say("a")
        step.end(Finished(FinishReason.STOP, Usage(100, 90, 1)))
    usage = end_of(await heard(stream)).usage
    assert usage.prompt_tokens == planned.usage.prompt_tokens + 200
    assert usage.completion_tokens == planned.usage.completion_tokens + 2
    assert usage.cached_tokens == 180


async def test_a_stop_ends_all_steps_and_keeps_what_was_shown(bench: Bench) -> None:
    bench.model.replies.append(plan("One", "Two", "Three"))
    stream = await bench.answering.generate(ASKED, PLAN)
    await until(bench.clock, lambda: len(bench.steps) == 3)
    for step in bench.steps:
        step.say("Air.")
    await settle()
    stream.cancel()
    assert all(step.is_cancelled for step in bench.steps)
    events = await heard(stream)
    assert text_of(events) == "**1. One**\n\nAir."
    assert end_of(events).reason is FinishReason.CANCELLED
    assert end_of(events).usage.completion_tokens == 3 + len(plan("One", "Two", "Three").split())
    await until(bench.clock, lambda: tasks_of_strategies() == [])
    assert bench.num_plans("stopped") == 1


async def test_a_stop_ends_the_plan_and_those_who_wait_for_room(bench: Bench) -> None:
    stream = await bench.answering.generate(ASKED, PLAN)
    planning = await bench.model.started()
    stream.cancel()
    assert planning.is_cancelled
    bench.model.replies.append(plan("One", "Two"))
    stream = await bench.answering.generate(ASKED, PLAN)
    bench.model.max_unfinished = 1
    await settle()
    stream.cancel()
    assert end_of(await heard(stream)).reason is FinishReason.CANCELLED
    await until(bench.clock, lambda: tasks_of_strategies() == [])


async def test_an_answer_in_a_format_has_no_plan(bench: Bench) -> None:
    bench.model.replies.append("{}")
    request = replace(ASKED, answer_format=JsonObject())
    assert text_of(await heard(await bench.answering.generate(request, PLAN))) == "{}"
