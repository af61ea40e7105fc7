"""Whatever Discord does to tokens and lines, Parley goes on: as its own process with the real
model, on the wire. One process lives through all of it; faults of calls are met in
``tests.adapters.discord.test_faults``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes import discord as wire
from tests.fakes.discord import EDIT, FakeDiscord
from tests.scenarios.discord_scene import Scene, scene
from tests.scenarios.hurried import HEARTBEAT_SECONDS
from tests.scenarios.polling import eventually

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("wire")
    hurried = "tests.scenarios.hurried"
    async with scene(folder, hurried, PARLEY_MAX_TOKENS="100") as it:
        yield it


@pytest.fixture
def discord(it: Scene) -> FakeDiscord:
    return it.discord


async def test_a_token_that_expires_early_lets_the_reply_go_on(
    it: Scene, discord: FakeDiscord
) -> None:
    discord.token_seconds = 0.5
    try:
        asked = await discord.slash("ask", question="Tell me more.", personality="rambler")
        await discord.until(lambda: it.is_final(asked.original), 60)
        await it.ends(asked.original)
    finally:
        discord.token_seconds = 900.0


async def test_stop_in_a_rate_limit_leaves_parley_able_to_edit(
    it: Scene, discord: FakeDiscord
) -> None:
    question = await it.ask_for_much()
    reply = await it.placeholder(question)
    num_before = discord.num_calls(EDIT)
    discord.fail(EDIT, wire.rate_limited(1.0, is_global=True))
    await discord.until(lambda: discord.num_calls(EDIT) > num_before)
    await discord.react(question)
    assert "topped" in await it.ends(reply)
    await discord.press(reply, "Retry")
    await discord.until(lambda: "Stop" in discord.buttons(reply))
    await discord.press(reply, "Stop")
    await it.ends(reply)


@pytest.mark.parametrize("end", ["op 7", "op 9, resumable", "op 9", "close 4000", "no heartbeats"])
async def test_every_way_to_lose_the_line_ends_with_a_new_one(
    it: Scene, discord: FakeDiscord, end: str
) -> None:
    gateway = discord.gateway
    lines_before = gateway.num_resumes + len(gateway.identifies)
    match end:
        case "op 7":
            await gateway.ask_to_reconnect()
        case "op 9, resumable":
            await gateway.invalidate(resumable=True)
        case "op 9":
            await gateway.invalidate(resumable=False)
        case "close 4000":
            await gateway.close(4000)
        case "no heartbeats":
            gateway.acks_heartbeats = False
            assert gateway.heartbeat_interval < HEARTBEAT_SECONDS
    await discord.until(lambda: gateway.num_resumes + len(gateway.identifies) > lines_before)
    gateway.acks_heartbeats = True
    await discord.until(lambda: gateway.is_connected)
    await it.ends_alone(await discord.ask("Say yes."))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (4004, "DISCORD_TOKEN is refused by Discord"),
        (4014, "Discord does not grant the intents that Parley asked for (close code 4014)"),
    ],
)
async def test_a_gateway_that_closes_for_good_is_one_sentence_and_parley_goes_on(
    it: Scene, discord: FakeDiscord, code: int, sentence: str
) -> None:
    discord.gateway.refuse_with = code
    await discord.gateway.close(code)
    await eventually(lambda: sentence in it.parley.output, what=it.parley)
    discord.gateway.refuse_with = None
    await discord.until(lambda: discord.gateway.is_connected, 30)
    await it.ends_alone(await discord.ask("Say yes."))
