"""A private chat with a page of its own on OpenAI's API, in the manner of that page.

It was written for a server that ignored the model's name, keeps its thread itself, puts the
system prompt second to last, and hands on what its page notes beside each message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from bot.history import usage
from tests.ports import free_port
from tests.scenarios.command import command
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.polling import eventually

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

PROMPT = "You answer briefly and kindly."
WINDOW = 512


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    settings = {
        "PARLEY_CONTEXT": str(WINDOW),
        "PARLEY_MAX_TOKENS": "16",
        "PARLEY_MODEL_ALIASES": "gpt-3.5-turbo=assistant, *=default",
    }
    folder = tmp_path_factory.mktemp("parley")
    async with running_parley(folder, free_port(), settings) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output


class Page:
    """``history`` is what its page shows; each answer is streamed into it."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self._client = client
        self._model = model
        self.history: list[dict[str, Any]] = []
        self.usage: CompletionUsage

    async def ask(self, question: str, **options: Any) -> list[ChatCompletionChunk]:
        system, asked = {"role": "system", "content": PROMPT}, self._note("user", question)
        stream = await self._client.chat.completions.create(
            model=self._model,
            messages=cast(list[ChatCompletionMessageParam], [*self.history, system, asked]),
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            **options,
        )
        *chunks, last = [chunk async for chunk in stream]
        assert last.usage is not None
        self.usage = last.usage
        answer = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        self.history += [asked, self._note("assistant", answer)]
        return chunks

    def remember(self, num_turns: int) -> None:
        for number in range(num_turns):
            self.history.append(self._note("user", f"What about llama number {number}?"))
            self.history.append(self._note("assistant", "It walks around the world. " * 4))

    @property
    def answer(self) -> str:
        text: str = self.history[-1]["content"]
        return text

    def _note(self, role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": text, "metadata": {"title": None}, "options": []}


@pytest_asyncio.fixture(loop_scope="module")
async def client(parley: Parley) -> AsyncIterator[AsyncOpenAI]:
    base_url = f"{parley.url}/v1/"
    async with AsyncOpenAI(base_url=base_url, api_key="sk-made-up", max_retries=0) as client:
        yield client


async def test_a_chat_goes_on_under_whatever_name_the_page_has_built_in(
    client: AsyncOpenAI,
) -> None:
    page = Page(client, "gpt-3.5-turbo")
    for question in ("What is the capital of France?", "And of Italy?"):
        await page.ask(question)
        assert page.answer
    alone = Page(client, "mistral")
    await alone.ask("And of Italy?")
    assert page.usage.prompt_tokens > alone.usage.prompt_tokens + 10


async def test_the_answer_ends_before_a_stop_text(client: AsyncOpenAI) -> None:
    page = Page(client, "gpt-3.5-turbo")
    await page.ask("Tell me about the sea.")
    word = page.answer.split()[1]
    page.history.clear()
    chunks = await page.ask("Tell me about the sea.", stop=[word])
    assert word not in page.answer
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_a_thread_longer_than_the_window_is_answered_and_keeps_its_prefix(
    client: AsyncOpenAI,
) -> None:
    page = Page(client, "mistral")
    page.remember(20)
    for question in ("And the next one?", "And the one after it?"):
        await page.ask(question)
        assert page.answer
        assert WINDOW // 2 < page.usage.prompt_tokens < WINDOW
    assert page.usage.prompt_tokens_details is not None
    cached = page.usage.prompt_tokens_details.cached_tokens or 0
    assert cached > page.usage.prompt_tokens // 2


async def test_one_message_longer_than_the_window_is_the_error_that_the_page_parses(
    client: AsyncOpenAI,
) -> None:
    page = Page(client, "mistral")
    page.remember(2)
    with pytest.raises(openai.BadRequestError) as refused:
        await page.ask("word " * 1_000)
    error = refused.value
    assert (error.code, error.param) == ("context_length_exceeded", "messages")


async def test_likes_and_who_asked_are_in_the_log_while_parley_runs(
    client: AsyncOpenAI, parley: Parley, tmp_path: Path
) -> None:
    page = Page(client, "gpt-3.5-turbo")
    chunks = await page.ask("Do you like llamas?", user="ann")
    vote = {"id": chunks[0].id, "rating": 1}
    async with (
        aiohttp.ClientSession(parley.url) as session,
        session.post("/v1/votes", json=vote) as response,
    ):
        assert (response.status, await response.json()) == (200, vote)
    environ = {"PARLEY_DATA_DIR": str(parley.database.parent)}
    told = await command(tmp_path, "usage", "--json", environ=environ)
    assert told.code == 0
    (row,) = (each for each in json.loads(told.out) if each["answer_id"] == chunks[0].id)
    assert (row["person"], row["personality"], row["rating"]) == ("http:local/ann", "assistant", 1)
    assert row["prompt_tokens"] == page.usage.prompt_tokens
    assert 0 <= row["queue_seconds"] <= row["first_token_seconds"] <= row["total_seconds"] < 60
    assert "llamas" not in told.out


async def test_what_is_in_the_log_outlives_the_process(client: AsyncOpenAI, parley: Parley) -> None:
    chunks = await Page(client, "mistral").ask("Are you still there?")

    async def is_logged() -> bool:
        rows = await asyncio.to_thread(lambda: list(usage.read(parley.database, None)))
        return chunks[0].id in {row.answer_id for row in rows}

    await eventually(is_logged)
    await parley.kill()
    assert await is_logged()
