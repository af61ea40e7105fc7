"""Models of servers of which nothing is asked before somebody wants one."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.errors import EngineFailed
from bot.inference.remote.on_demand import EnginesOnDemand
from bot.metrics import Metrics
from tests.bot.inference.remote.asking import HASTY, answer, count, question, until
from tests.fakes.model_server import MODEL, FakeModelServer
from tests.ports import free_port

UNWATCHED = replace(HASTY, watch=math.inf)


@pytest.fixture
async def engines(server: FakeModelServer) -> AsyncIterator[EnginesOnDemand]:
    async with EnginesOnDemand([server.url], Metrics(), patience=UNWATCHED) as engines:
        yield engines


async def test_nothing_is_asked_before_a_model_is_wanted_and_once_then(
    server: FakeModelServer, engines: EnginesOnDemand
) -> None:
    assert server.num_listed == 0
    assert (await answer(await engines.model(MODEL), question()))[0] == "ok"
    assert (await answer(await engines.model(MODEL), question()))[0] == "ok"
    assert (server.num_listed, len(server.asked)) == (1, 2)


async def test_a_server_that_was_away_is_asked_again_when_its_model_is_wanted(
    server: FakeModelServer, engines: EnginesOnDemand
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with EnginesOnDemand([f"http://{nowhere}"], Metrics(), patience=UNWATCHED) as away:
        with pytest.raises(EngineFailed, match=f"{nowhere}/v1: "):
            await away.model(MODEL)
        assert away.address == nowhere
    engine = await engines.model(MODEL)
    next(iter(engine.servers)).problem = "it was cut off"
    assert await engines.model(MODEL) is not engine
    assert server.num_listed == 2


async def test_a_model_that_the_server_lacks_is_a_failure_of_this_answer(
    engines: EnginesOnDemand,
) -> None:
    with pytest.raises(EngineFailed, match="no model 'gpt'"):
        await engines.model("gpt")


async def test_what_is_closed_asks_nothing_more(server: FakeModelServer) -> None:
    engines = EnginesOnDemand([server.url], Metrics(), patience=UNWATCHED)
    async with engines:
        pass
    with pytest.raises(EngineFailed, match="stopping"):
        await engines.model(MODEL)
    assert server.num_listed == 0


async def test_its_address_has_no_key_and_no_usual_port() -> None:
    urls = ["https://me:secret@api.example.com/v1", "http://10.0.0.1:8000", "http://10.0.0.1:8000/"]
    assert EnginesOnDemand(urls, Metrics()).address == "api.example.com or 10.0.0.1:8000"


async def test_its_replies_are_counted_beside_those_of_the_main_engine(
    server: FakeModelServer,
) -> None:
    metrics = Metrics()
    metrics.share().running_sequences.set(3)
    async with EnginesOnDemand([server.url], metrics, patience=UNWATCHED) as engines:
        await answer(await engines.model(MODEL), question())
        await until(lambda: count(metrics, "running_sequences") == 3)
