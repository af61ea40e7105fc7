"""Strategies where servers run the local model, too: the roles stay the same."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from bot.clock import SystemClock
from bot.inference.remote.on_demand import EnginesOnDemand
from bot.metrics import Metrics
from bot.strategies.answering import Answering
from tests.bot.inference.remote.asking import HASTY, engine_over
from tests.bot.strategies.asking import ASKED, PLAN, ROUTE, count, end_of, heard, text_of
from tests.fakes.model_server import MODEL, FakeModelServer, says


async def test_a_server_that_cannot_be_held_to_a_verdict_is_asked_for_one() -> None:
    metrics = Metrics()
    async with (
        FakeModelServer() as near,
        FakeModelServer(models=("gpt-x",)) as far,
        engine_over(near, metrics=metrics) as engine,
        EnginesOnDemand([far.url], metrics, patience=replace(HASTY, watch=math.inf)) as remotes,
    ):
        near.script += [says("It is "), says("Good."), says("It is"), says("Bad, I fear.")]
        far.script.append(says("Light scatters.", usage=(9, 3)))
        answering = Answering(engine, metrics, SystemClock(), remotes)
        good = await heard(await answering.generate(ASKED, ROUTE))
        assert (far.num_listed, far.asked) == (0, [])
        bad = await heard(await answering.generate(ASKED, ROUTE))
    address = far.url.removeprefix("http://")
    assert text_of(good) == f"_Answered by {MODEL}:_\n\nIt is "
    assert text_of(bad) == f"_Answered by gpt-x at {address}:_\n\nLight scatters."
    assert [each["model"] for each in near.asked] == [MODEL] * 4
    (asked,) = far.asked
    assert (asked["model"], asked["messages"]) == ("gpt-x", near.asked[0]["messages"])
    assert count(metrics, "routed_total", answered_by="local", verdict="good") == 1


async def test_a_server_makes_the_plan_and_gets_all_steps_at_once() -> None:
    async with FakeModelServer() as server, engine_over(server) as engine:
        server.script += [
            says(json.dumps({"steps": ["Air", "Light"]})),
            says("Gas."),
            says("Rays."),
        ]
        answering = Answering(engine, Metrics(), SystemClock())
        events = await heard(await answering.generate(ASKED, PLAN))
    assert text_of(events).count("**") == 4
    planned, *steps = server.asked
    assert planned["response_format"]["type"] == "json_schema"
    assert [each["messages"][-2]["content"] for each in steps] == ["Air", "Light"]
    assert end_of(events).usage.prompt_tokens > 0
