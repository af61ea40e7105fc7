"""Reasoning of models on servers, in every form in which servers send it."""

from __future__ import annotations

import pytest

from bot.generation import Delta, Finished, Reasoning
from tests.bot.inference.remote.asking import engine_over, question
from tests.fakes.model_server import Behaviour, FakeModelServer, event, says, sends

END = event({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"


def delta(**fields: str) -> bytes:
    return event({"choices": [{"delta": fields}]})


TOLD_APART = sends(delta(reasoning_content="So it is ") + delta(content="Paris.") + END)
IN_THE_TEXT = says("<th", "ink>So it is ", "</thi", "nk>\n\nPar", "is.")


@pytest.mark.parametrize("behaviour", [TOLD_APART, IN_THE_TEXT])
async def test_reasoning_is_separated_from_the_answer(
    server: FakeModelServer, behaviour: Behaviour
) -> None:
    server.script.append(behaviour)
    async with engine_over(server) as engine:
        events = [each async for each in await engine.generate(question())]
    assert "".join(e.text for e in events if isinstance(e, Reasoning)) == "So it is "
    assert "".join(e.text for e in events if isinstance(e, Delta)) == "Paris."
    assert isinstance(events[-1], Finished)


async def test_an_incomplete_reasoning_tag_at_the_end_is_shown(
    server: FakeModelServer,
) -> None:
    server.script.append(says("<thi"))
    async with engine_over(server) as engine:
        events = [each async for each in await engine.generate(question())]
    assert Delta("<thi") in events
