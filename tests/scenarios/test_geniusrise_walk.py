"""A page of Geniusrise's on the way through Parley, with the real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.adapters.http.geniusrise.page import LOGIN, Page
from tests.ports import free_port
from tests.scenarios.asking import metric, until_metric
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import FREQUENCY_PENALTY, RAMBLING

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    folder = tmp_path_factory.mktemp("geniusrise")
    settings = {"PARLEY_BASIC_AUTH": ":".join(LOGIN), "PARLEY_PUBLIC_URL": "https://parley.example"}
    async with running_parley(folder, free_port(), settings, RAMBLING) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output
    assert LOGIN[1] not in parley.output


async def test_a_conversation_goes_on_from_what_was_evaluated(parley: Parley) -> None:
    async with Page(parley.url) as page:
        first = await page.say("What is the capital of France?", max_tokens=8)
        before = await metric(parley, "parley_prompt_tokens_total", source="resumed")
        second = await page.say("And of Italy?", max_tokens=8)
        after = await metric(parley, "parley_prompt_tokens_total", source="resumed")
    assert first
    assert second
    assert after - before > 30
    async with Page(parley.url, login=None) as stranger:
        assert (await stranger.post(messages=page.messages)).status == 401


async def test_the_documented_request_is_continued_and_so_is_a_prompt(parley: Parley) -> None:
    messages = [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "system", "content": "The capital of France is"},
    ]
    async with Page(parley.url) as page:
        told = await page.post(
            messages=messages, temperature=0.2, top_p=0.95, top_k=40, max_tokens=5, seed=1
        )
        raw = await page.post(prompt="The capital of France is", temperature=0, echo=True)
    assert "Paris" in told.body["choices"][0]["message"]["content"]
    assert raw.body["choices"][0]["text"].startswith("The capital of France is Paris")
    assert raw.body["usage"]["completion_tokens"] <= 16


async def test_a_page_that_is_closed_within_an_endless_answer_frees_its_place(
    parley: Parley,
) -> None:
    question = {"role": "user", "content": "Write a very long story."}
    async with Page(parley.url) as page:
        asking = asyncio.create_task(
            page.post(messages=[question], frequency_penalty=FREQUENCY_PENALTY)
        )
        await until_metric(parley, "parley_running_sequences", lambda running: running == 1)
        asking.cancel()
        await asyncio.wait([asking])
    await until_metric(parley, "parley_running_sequences", lambda running: running == 0)
    assert await metric(parley, "parley_cancelled_total") == 1
