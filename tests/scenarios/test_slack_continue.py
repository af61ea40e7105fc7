"""Parley as its own process: what was stopped goes on from its last token, and from its cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.asking import metric
from tests.scenarios.plug import LONG, Scene, scene
from tests.scenarios.polling import eventually

pytestmark = pytest.mark.model

STOPPED = "\n\n_(stopped)_"


async def prompt_tokens(it: Scene, source: str) -> float:
    return await metric(it.parley, "parley_prompt_tokens_total", source=source)


async def is_stopped(it: Scene, reply: str, question: str) -> None:
    """Once it is pressed, and until it can go on."""
    await it.slack.press(reply, "Stop")
    assert (await it.ends(question)).state == "stopped"
    await eventually(lambda: "Continue" in it.slack.buttons(reply), what=it)
    assert it.slack.text(reply) == it.turn(question).reply.strip() + STOPPED


async def goes_on(it: Scene, reply: str, question: str) -> None:
    """From its last token, in the same message, as far as it is let; nothing is evaluated anew."""
    said, evaluated = it.turn(question).reply, await prompt_tokens(it, "evaluated")
    await it.slack.press(reply, "Continue")
    await eventually(lambda: len(it.texts(question)[0]) > len(said + STOPPED), what=it)
    assert await prompt_tokens(it, "evaluated") - evaluated <= 1
    await is_stopped(it, reply, question)
    assert it.turn(question).reply.startswith(said)
    assert it.turn(question).posts == (reply,)


async def test_what_was_stopped_goes_on_from_its_cells_and_after_a_restart_from_the_disk(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, PARLEY_MAX_TOKENS=LONG) as it:
        question = await it.ask("tell me a story " * 20)
        await it.grows(question)
        await eventually(lambda: it.turn(question).posts, what=it)
        (reply,) = it.turn(question).posts
        await is_stopped(it, reply, question)
        await goes_on(it, reply, question)
        assert await prompt_tokens(it, "resumed") > 100
        await it.parley.stop()
        await it.parley.start()
        await goes_on(it, reply, question)
        assert await prompt_tokens(it, "restored") > 100
