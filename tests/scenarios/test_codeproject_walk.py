"""A page in the manner of CodeProject.AI's on the way through Parley, with the real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
import pytest_asyncio

from tests.adapters.http.codeproject_ai.client import Json, PollingClient
from tests.ports import free_port
from tests.scenarios.asking import metric, until_metric
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import RAMBLING, TEMPERATURE

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

POLL_SECONDS = 0.25


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    folder = tmp_path_factory.mktemp("codeproject")
    settings = {"PARLEY_DRAIN_SECONDS": "0.3"}
    async with running_parley(folder, free_port(), settings, RAMBLING) as parley:
        yield parley
    assert "Traceback" not in parley.output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(parley: Parley) -> AsyncIterator[PollingClient]:
    async with aiohttp.ClientSession(parley.url) as session:
        yield PollingClient(session)


async def until(client: PollingClient, command_id: str, is_so: Callable[[Json], bool]) -> Json:
    """The first status for which it is so; every quarter of a second, as pages ask."""
    while not is_so(status := await client.status(command_id)):  # noqa: ASYNC110 - another process
        await asyncio.sleep(POLL_SECONDS)
    return status


def is_completed(status: Json) -> bool:
    return bool(status["commandStatus"] == "completed")


def has_begun(status: Json) -> bool:
    return "and the tide" in status["reply"]


async def test_commands_run_beside_each_other_to_their_end(
    client: PollingClient, parley: Parley
) -> None:
    asked = [client.ask("What is the capital of France?", temperature=0, max_tokens=12)]
    asked += [client.ask(f"Count to {number}.", max_tokens=8) for number in range(3)]
    asked += [client.ask("", max_tokens=8)]
    ids = await asyncio.gather(*asked)
    statuses = await asyncio.gather(*(until(client, each, is_completed) for each in ids))
    for status in statuses:
        assert (status["success"], status["stop_reason"]) == (True, "completed")
        assert 0 < status["inferenceMs"] <= status["processMs"]
    assert all(status["reply"] for status in statuses[:-1])
    assert await metric(parley, "parley_commands_total", outcome="completed") == 5


async def test_stop_in_the_middle_frees_the_slot_and_keeps_the_text(
    client: PollingClient, parley: Parley
) -> None:
    command_id = await client.ask("A story!", temperature=TEMPERATURE, max_tokens=4000)
    await until(client, command_id, has_begun)
    assert (await client.cancel(command_id))["commandStatus"] == "cancelled"
    status = await client.status(command_id)
    assert (status["commandStatus"], status["stop_reason"]) == ("completed", "cancelled")
    assert has_begun(status)
    await until_metric(parley, "parley_running_sequences", lambda running: running == 0)
    assert (await client.status(command_id))["reply"] == status["reply"]


async def test_a_prompt_longer_than_the_window_is_refused_in_words(client: PollingClient) -> None:
    answer = await client.fields("text/chat", prompt="word " * 10_000)
    assert (answer["success"], answer["code"]) == (False, 500)
    assert "too long for the model" in answer["error"]


async def test_who_polls_while_parley_stops_is_told(client: PollingClient, parley: Parley) -> None:
    command_id = await client.ask("A story!", temperature=TEMPERATURE, max_tokens=4000)
    await until(client, command_id, has_begun)
    stopping = asyncio.create_task(parley.stop())
    status = await until(client, command_id, is_completed)
    assert not status["success"]
    assert has_begun(status)
    assert status["error"] == "Parley is stopping; please ask again in a moment."
    assert (await client.fields("text/chat", prompt="Hi"))["error"].startswith("Parley is stopping")
    assert await stopping == 0
