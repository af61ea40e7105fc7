"""A reply is the same with drafts and without, whatever they say and however many are right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.generation import ChatMessage, Delta, FinishReason, GenerationRequest
from bot.inference.core.sequence import Sequence
from bot.inference.engine import service as module
from bot.inference.engine.service import InferenceService
from bot.metrics import Metrics
from tests.bot.inference.engine.test_forced_tokens import ANSWER, CHOSEN, KEYS, asked, crowds
from tests.bot.inference.streams import read
from tests.fakes.guesser import Eager, Guesser, Insistent
from tests.fakes.model import ANSWER as ANSWERS
from tests.fakes.model import END, FakeModel

DRAFT_TOKENS = "parley_draft_tokens_total"
TEXT = "The quick brown fox jumps over the lazy dog, and the dog does not mind."


@asynccontextmanager
async def engine(
    model: FakeModel,
    errs_at: int,
    reply_to: Callable[[Sequence], str] = lambda _: TEXT,
    metrics: Metrics | None = None,
) -> AsyncIterator[InferenceService]:
    """Drafts are wrong at every ``errs_at``-th letter; 0: the lookup has none.

    The model's own draft model, if it has one, is always asked.
    """
    patch = pytest.MonkeyPatch()
    eager = Eager(Guesser(reply_to, errs_at), lambda _: 1.0)
    patch.setattr(module, "Speculation", lambda *_: eager)
    patch.setattr(module, "ModelDrafts", Insistent)
    try:
        service = InferenceService(
            model,
            metrics or Metrics(),
            max_running=4,
            max_waiting=50,
            speculates=errs_at > 0 or model.can_draft,
        )
    finally:
        patch.undo()
    async with service as entered:
        yield entered


def free(**others: Any) -> GenerationRequest:
    return asked("Say it.", **{"answer_format": None, **others})


async def answer(request: GenerationRequest, errs_at: int) -> tuple[str, FinishReason, int, int]:
    """With the number of steps that evaluated something."""
    model = FakeModel(lambda _: TEXT)
    async with engine(model, errs_at) as service:
        text, finished = await read(await service.generate(request))
    num_steps = sum(bool(step.chunks) for step in model.steps)
    return text, finished.reason, finished.usage.completion_tokens, num_steps


async def test_a_reply_takes_a_step_for_each_wrong_guess_and_none_for_the_right_ones() -> None:
    expected = TEXT, FinishReason.STOP, len(TEXT)
    assert await answer(free(), 0) == (*expected, 1 + len(TEXT))
    assert await answer(free(), 1) == (*expected, 1 + len(TEXT))
    *found, num_steps = await answer(free(), 10)
    assert (*found,) == expected
    assert num_steps == 2 + len(TEXT) // 10
    *found, num_steps = await answer(free(), 1_000)
    assert (*found,) == expected
    assert num_steps == 6


@pytest.mark.parametrize("limit", [1, 2, 9, 10, 11, 17, len(TEXT) - 1, len(TEXT)])
async def test_a_limit_among_accepted_tokens_is_kept(limit: int) -> None:
    text, reason, num_tokens, _ = await answer(free(max_tokens=limit), 1_000)
    assert (text, reason, num_tokens) == (TEXT[:limit], FinishReason.LENGTH, limit)


async def test_a_stop_string_among_accepted_tokens_ends_the_reply_there() -> None:
    text, reason, num_tokens, _ = await answer(free(stop=("fox j",)), 1_000)
    assert (text, reason) == ("The quick brown ", FinishReason.STOP)
    assert num_tokens == len("The quick brown fox j")


async def test_whoever_wants_probabilities_gets_one_for_every_accepted_token() -> None:
    async with engine(FakeModel(lambda _: TEXT), 7) as service:
        stream = await service.generate(free(num_logprobs=1))
        noted = [p for e in [e async for e in stream] if isinstance(e, Delta) for p in e.logprobs]
    assert b"".join(each.piece for each in noted).decode() == TEXT
    assert [each.logprob for each in noted] == [-n / 2 for n in range(len(TEXT))]


async def test_a_loop_that_was_foreseen_is_a_loop() -> None:
    found = []
    for errs_at in (0, 1_000):
        model = FakeModel(lambda _: "ab " * 200)
        async with engine(model, errs_at, lambda _: "ab " * 200) as service:
            text, finished = await read(await service.generate(free(max_tokens=800)))
        found.append((text, finished.reason, finished.num_repeated))
    assert found[0] == found[1]
    assert found[0][1] is FinishReason.LOOPED


@pytest.mark.parametrize(("errs_at", "steps"), [(1, 10), (2, 6), (8, 4), (1_000, 3)])
async def test_what_a_grammar_forces_is_accepted_where_the_draft_says_it(
    errs_at: int, steps: int
) -> None:
    model, metrics = FakeModel(lambda _: ANSWER, forces=KEYS), Metrics()
    async with engine(model, errs_at, lambda _: ANSWER, metrics) as service:
        text, finished = await read(await service.generate(asked()))
    assert (text, finished.reason) == (ANSWER, FinishReason.STOP)
    assert finished.usage.completion_tokens == len(ANSWER)
    assert sum(bool(step.chunks) for step in model.steps) == steps
    counted = metrics.registry.get_sample_value
    assert counted("parley_grammar_forced_total") == len(ANSWER) - len(CHOSEN) - 1


async def test_what_was_accepted_and_rejected_is_counted() -> None:
    model, metrics = FakeModel(lambda _: TEXT), Metrics()
    async with engine(model, 10, metrics=metrics) as service:
        await read(await service.generate(free()))
    counted = metrics.registry.get_sample_value
    drafted = sum(step.num_draft for step in model.steps)
    accepted = counted(DRAFT_TOKENS, {"source": "lookup", "outcome": "accepted"})
    assert accepted == len(TEXT) - 1 - len(TEXT) // 10
    rejected = counted(DRAFT_TOKENS, {"source": "lookup", "outcome": "rejected"})
    assert rejected == drafted - accepted
    assert counted("parley_prompt_tokens_total", {"source": "evaluated"}) == len("Say it.") + 1


async def test_what_a_draft_model_says_is_verified_and_counted_apart() -> None:
    model, metrics = FakeModel(lambda _: TEXT, drafts_err_at=10), Metrics()
    async with engine(model, 0, metrics=metrics) as service:
        text, _ = await read(await service.generate(free()))
    assert text == TEXT
    num_steps = sum(bool(step.chunks) for step in model.steps)
    assert num_steps < len(TEXT) / 4
    counted = metrics.registry.get_sample_value
    accepted = counted(DRAFT_TOKENS, {"source": "model", "outcome": "accepted"})
    assert accepted == len(TEXT) + 1 - num_steps
    assert not counted(DRAFT_TOKENS, {"source": "lookup", "outcome": "accepted"})


async def test_the_next_question_of_a_thread_finds_what_was_accepted() -> None:
    first = free(thread="1", max_tokens=60)
    async with engine(FakeModel(lambda _: TEXT), 7) as service:
        text, _ = await read(await service.generate(first))
        said = (*first.messages, ChatMessage("assistant", ANSWERS + text))
        _, finished = await read(await service.generate(replace(first, messages=said)))
    assert finished.usage.cached_tokens == len("Say it.") + 60


async def test_a_model_that_cannot_remove_tokens_gets_no_drafts() -> None:
    model = FakeModel(lambda _: TEXT, can_reuse=False)
    async with engine(model, 1_000) as service:
        text, _ = await read(await service.generate(free()))
    assert text == TEXT
    assert not any(step.num_draft for step in model.steps)


@settings(max_examples=40)
@given(
    crowds(),
    st.integers(0, 9),
    st.sampled_from((0, 1, 2, 5)),
    st.sampled_from(("", "abcx", "xyz{}" + chr(END))),
    st.sampled_from((120, 200, 1_000)),
    st.sampled_from((6, 16, 64)),
)
def test_a_crowd_gets_the_same_answers_whatever_is_drafted(
    crowd: list[tuple[GenerationRequest, str]],
    errs_at: int,
    model_errs_at: int,
    forces: str,
    num_cells: int,
    max_batch: int,
) -> None:
    said = {request.messages[0].content: text for request, text in crowd}

    def reply_to(sequence: Sequence) -> str:
        return said["".join(map(chr, sequence.tokens[: sequence.num_prompt - 1]))]

    async def answers(errs_at: int, model_errs_at: int) -> list[tuple[str, FinishReason, int]]:
        model = FakeModel(
            lambda prompt: said[prompt],
            forces=forces,
            num_cells=num_cells,
            max_batch=max_batch,
            drafts_err_at=model_errs_at,
        )
        async with engine(model, errs_at, reply_to) as service:
            streams = [await service.generate(request) for request, _ in crowd]
            got = await asyncio.gather(*map(read, streams))
            assert service.num_running == 0
        assert errs_at or model_errs_at or not any(step.num_draft for step in model.steps)
        return [(text, end.reason, end.usage.completion_tokens) for text, end in got]

    assert asyncio.run(answers(errs_at, model_errs_at)) == asyncio.run(answers(0, 0))
