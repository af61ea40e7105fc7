"""Tokens that an answer's format leaves no choice for are evaluated many a step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.answer_formats import OneOf
from bot.generation import ChatMessage, Delta, Finished, FinishReason, GenerationRequest
from bot.inference.core.sequence import Opening
from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from tests.bot.inference.streams import read
from tests.fakes.model import END, FakeModel

ANSWER = '{"name": "ADA", "is_alive": NO, "born": 1815}'
CHOSEN = "ADANO1815"
KEYS = f'{{}}_:," abeilmnorsv{chr(END)}'
"""All letters of the answer but its values."""


@asynccontextmanager
async def engine(
    model: FakeModel, metrics: Metrics | None = None
) -> AsyncIterator[InferenceService]:
    counted = metrics or Metrics()
    async with InferenceService(model, counted, max_running=4, max_waiting=50) as service:
        yield service


def asked(text: str = "Who?", **others: Any) -> GenerationRequest:
    request = GenerationRequest(
        messages=(ChatMessage("user", text),),
        person=text,
        max_tokens=200,
        answer_format=OneOf(("any",)),
    )
    return replace(request, **others)


async def answer(model: FakeModel, request: GenerationRequest) -> tuple[str, Finished]:
    async with engine(model) as service:
        return await read(await service.generate(request))


async def test_an_answer_takes_a_step_for_each_choice_and_none_for_its_keys() -> None:
    model, metrics = FakeModel(lambda _: ANSWER, forces=KEYS), Metrics()
    async with engine(model, metrics) as service:
        text, finished = await read(await service.generate(asked()))
    assert (text, finished.reason) == (ANSWER, FinishReason.STOP)
    assert finished.usage.completion_tokens == len(ANSWER)
    assert len([step for step in model.steps if step.chunks]) == 1 + len(CHOSEN)
    counted = metrics.registry.get_sample_value
    assert counted("parley_grammar_prefilled_total") == len(ANSWER) - len(CHOSEN) - 2
    assert counted("parley_prompt_tokens_total", {"source": "evaluated"}) == len("Who?") + 1


async def test_what_every_answer_begins_with_is_evaluated_with_the_prompt() -> None:
    model, metrics = FakeModel(lambda _: ANSWER, forces=KEYS, begins='{"name": "'), Metrics()
    async with engine(model, metrics) as service:
        text, finished = await read(await service.generate(asked()))
    assert (text, finished.usage.completion_tokens) == (ANSWER, len(ANSWER))
    assert finished.usage.prompt_tokens == len("Who?") + 1
    assert len([step for step in model.steps if step.chunks]) == len(CHOSEN)
    counted = metrics.registry.get_sample_value
    assert counted("parley_grammar_forced_total") == len(ANSWER) - len(CHOSEN)


async def test_a_beginning_longer_than_the_limit_is_cut_there() -> None:
    for limit in (1, 4, 10, 11):
        model = FakeModel(lambda _: ANSWER, forces=KEYS, begins='{"name": "')
        text, finished = await answer(model, asked(max_tokens=limit))
        assert (text, finished.reason) == (ANSWER[:limit], FinishReason.LENGTH)


async def test_an_answer_that_never_began_has_no_tokens() -> None:
    model = FakeModel(lambda _: ANSWER, forces=KEYS, begins='{"name": "', stepwise=True)
    async with engine(model) as service:
        running = [await service.generate(asked(str(n), answer_format=None)) for n in range(4)]
        waiting = await service.generate(asked("5"))
        waiting.cancel()
        _, finished = await read(waiting)
        for stream in running:
            stream.cancel()
        model.allow(100)
    assert finished.usage.completion_tokens == 0


async def test_free_text_has_a_step_for_every_token() -> None:
    model = FakeModel(lambda _: ANSWER, forces=KEYS)
    text, _ = await answer(model, asked(answer_format=None))
    assert text == ANSWER
    assert len([step for step in model.steps if step.chunks]) == 1 + len(ANSWER)


@pytest.mark.parametrize("limit", [1, 2, 9, 10, 11, len(ANSWER) - 1, len(ANSWER)])
async def test_a_limit_among_forced_tokens_is_kept(limit: int) -> None:
    model = FakeModel(lambda _: ANSWER, forces=KEYS)
    text, finished = await answer(model, asked(max_tokens=limit))
    assert (text, finished.reason) == (ANSWER[:limit], FinishReason.LENGTH)
    assert finished.usage.completion_tokens == limit


async def test_a_stop_string_among_forced_tokens_ends_the_answer_there() -> None:
    model = FakeModel(lambda _: ANSWER, forces=KEYS)
    text, finished = await answer(model, asked(stop=("is_al",)))
    assert (text, finished.reason) == ('{"name": "ADA", "', FinishReason.STOP)
    assert finished.usage.completion_tokens == len(text) + len("is_al")


async def test_whoever_wants_probabilities_gets_one_for_every_token() -> None:
    model = FakeModel(lambda _: ANSWER, forces=KEYS)
    async with engine(model) as service:
        stream = await service.generate(asked(num_logprobs=1))
        noted = [p for event in [e async for e in stream] if isinstance(event, Delta)
                 for p in event.logprobs]  # fmt: skip
    assert b"".join(each.piece for each in noted).decode() == ANSWER
    assert [each.logprob for each in noted] == [-n / 2 for n in range(len(ANSWER))]


async def test_answers_that_do_not_fit_into_the_pool_together_are_whole() -> None:
    model = FakeModel(
        lambda prompt: f"{prompt} {ANSWER} " * 4, forces=KEYS, num_cells=320, max_batch=16
    )
    async with engine(model) as service:
        streams = [await service.generate(asked(f"Who is {n}?", max_tokens=240)) for n in "12345"]
        texts = [text for text, _ in await asyncio.gather(*map(read, streams))]
    assert texts == [f"Who is {n}? {ANSWER} " * 4 for n in "12345"]
    openings = [a for step in model.steps for a in step.actions if isinstance(a, Opening)]
    assert len(openings) > len(texts)


async def test_the_next_question_of_a_thread_finds_what_was_forced() -> None:
    model = FakeModel(lambda _: ANSWER, forces=KEYS)
    async with engine(model) as service:
        first = asked("Who was the first? " * 3, thread="1")
        text, _ = await read(await service.generate(first))
        said = (*first.messages, ChatMessage("assistant", "\x01" + text))
        _, finished = await read(await service.generate(replace(first, messages=said)))
    assert finished.usage.cached_tokens > len(first.messages[0].content) + len(ANSWER) - 20


LETTERS = "abcxyz{}"


@st.composite
def crowds(draw: st.DrawFn) -> list[tuple[GenerationRequest, str]]:
    """Requests of all kinds, each with what the model would say without end."""
    crowd = []
    for number in range(draw(st.integers(1, 8))):
        question = f"{number}: " + draw(st.sampled_from(("", "a" * 20, "the same words " * 3)))
        request = asked(
            question,
            max_tokens=draw(st.integers(1, 60)),
            stop=tuple(draw(st.lists(st.text(LETTERS, min_size=1, max_size=3), max_size=2))),
            answer_format=draw(st.sampled_from((None, OneOf(("any",)), OneOf(("any",))))),
            num_logprobs=draw(st.sampled_from((None, None, None, 1))),
            thread=draw(st.sampled_from((None, question))),
            loop_guard=False,
        )
        crowd.append((request, draw(st.text(LETTERS, min_size=1, max_size=80))))
    return crowd


@settings(max_examples=40)
@given(
    crowds(),
    st.sampled_from((LETTERS + chr(END), LETTERS[:4], LETTERS[4:], "a")),
    st.sampled_from((120, 200, 1_000)),
    st.sampled_from((6, 16, 64)),
)
def test_a_crowd_gets_the_same_answers_whatever_is_forced(
    crowd: list[tuple[GenerationRequest, str]], forces: str, num_cells: int, max_batch: int
) -> None:
    said = {request.messages[0].content: text for request, text in crowd}

    async def answers(forces: str) -> list[tuple[str, FinishReason, int, int]]:
        model = FakeModel(
            lambda prompt: said[prompt], forces=forces, num_cells=num_cells, max_batch=max_batch
        )
        async with engine(model) as service:
            streams = [await service.generate(request) for request, _ in crowd]
            got = await asyncio.gather(*map(read, streams))
            assert service.num_running == 0
        usages = [(finished.reason, finished.usage) for _, finished in got]
        return [
            (text, reason, usage.prompt_tokens, usage.completion_tokens)
            for (text, _), (reason, usage) in zip(got, usages, strict=True)
        ]

    assert asyncio.run(answers(forces)) == asyncio.run(answers(""))
