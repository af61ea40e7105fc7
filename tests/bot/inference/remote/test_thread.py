"""A thread that outgrows a server that states its window only in refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from aiohttp import web

from bot.stored import TurnState
from tests.bot.inference.remote.asking import engine_over
from tests.bot.talk import talking
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.model_server import FakeModelServer, Json, says, status

WINDOW = 300


def num_words(body: Json) -> int:
    return len(re.findall(r"\w+", " ".join(m["content"] for m in body["messages"])))


async def refuses_what_is_too_long(request: web.Request, body: Json) -> web.StreamResponse:
    number = num_words(body)
    said = f"This model's maximum context length is {WINDOW} tokens."
    if number > WINDOW:
        return await status(400, {"error": {"message": said}})(request, body)
    return await says(f"Answer of {number} words. " + "word " * 20)(request, body)


async def test_old_turns_are_left_out_and_the_person_notices_nothing(tmp_path: Path) -> None:
    async with FakeModelServer() as server, engine_over(server) as engine:
        server.otherwise = refuses_what_is_too_long
        async with talking(tmp_path, generator=cast(ScriptedGenerator, engine)) as talk:
            for number in range(8):
                question = await talk.ask(f"Question {number}: " + "and so on " * 15)
                turn = await talk.ended(question)
                assert turn.state is TurnState.DONE, turn.reply
    sizes = [num_words(body) for body in server.asked]
    assert max(sizes) > WINDOW, "it was too long once"
    assert sum(size > WINDOW for size in sizes) == 1, "and is known from then on"
