"""A Parley with a personality that routes, and a server of which nothing is asked before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.model_server import FakeModelServer, says
from tests.ports import free_port
from tests.scenarios.asking import metric, post
from tests.scenarios.command import command
from tests.scenarios.parley import Parley, running_parley
from tests.scenarios.personalities import PRESENCE_PENALTY, RAMBLING, make_personalities

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

KEY = "s3cret-of-the-other"
ROUTER = f"""\
---
title: Router
strategy: route
remote: gpt-x
sampling:
  presence_penalty: {PRESENCE_PENALTY}
---
You say yes.
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[FakeModelServer]:
    async with FakeModelServer(models=("gpt-x",), key=KEY) as server:
        yield server


@pytest.fixture(scope="module")
def personalities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_personalities(tmp_path_factory.mktemp("route") / "personalities")
    (folder / "router.md").write_text(ROUTER, "utf-8")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(
    server: FakeModelServer, personalities: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Parley]:
    folder = tmp_path_factory.mktemp("routing")
    settings = {
        "PARLEY_PERSONALITIES": str(personalities),
        "PARLEY_REMOTE_URL": server.url,
        "PARLEY_REMOTE_KEY": KEY,
        "PARLEY_MAX_TOKENS": "24",
    }
    async with running_parley(folder, free_port(), settings, RAMBLING) as parley:
        yield parley
        assert await parley.stop() == 0
    assert "Traceback" not in parley.output
    assert KEY not in parley.output


def body(personality: str, **keys: object) -> bytes:
    messages = [{"role": "user", "content": "Is the sky blue?"}]
    return json.dumps({"model": personality, "messages": messages, **keys}).encode()


async def test_a_server_hears_of_no_question_but_one_that_was_answered_badly(
    parley: Parley, server: FakeModelServer
) -> None:
    assert (await post(parley, body("brief"))).text == "Yes, of course."
    assert (await post(parley, body("router", logprobs=True))).text == "Yes, of course."
    assert (server.num_listed, server.asked) == (0, [])
    server.script.append(says("It ", "is."))
    found = await post(parley, body("router", stop=["Yes"]))  # so the local answer is empty
    address = server.url.removeprefix("http://")
    assert found.text == f"_Answered by gpt-x at {address}:_\n\nIt is."
    assert server.num_listed == 1
    (asked,) = server.asked
    assert (asked["model"], asked["messages"][-1]["content"]) == ("gpt-x", "Is the sky blue?")
    assert await metric(parley, "parley_routed_total", answered_by="remote", verdict="bad") == 1


async def test_a_personality_whose_remote_model_is_nowhere_refuses_to_start(
    personalities: Path, tmp_path: Path
) -> None:
    environ = {"PARLEY_PERSONALITIES": str(personalities)}
    sentence = "router.md: remote is gpt-x, but PARLEY_REMOTE_URL, the server to ask for it, is not"
    started, checked = await asyncio.gather(
        command(tmp_path, "run", environ=environ),
        command(tmp_path, "personalities", "check", environ=environ),
    )
    assert (started.code, started.err.count("\n")) == (2, 1)
    assert sentence in started.err
    assert checked.code == 1
    assert sentence in checked.out + checked.err
