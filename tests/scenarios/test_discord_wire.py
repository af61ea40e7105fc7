"""Whatever Discord does to calls and lines, the final text is delivered, once: Parley as its
own process with the real model, on the wire. One process lives through all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes import discord as wire
from tests.fakes.discord import EDIT, EDIT_ORIGINAL, SEND, FakeDiscord
from tests.fakes.discord_guild import ADA, BOB, BOT, CHANNEL, GUILD
from tests.scenarios.discord_scene import Scene, scene
from tests.scenarios.hurried import HEARTBEAT_SECONDS
from tests.scenarios.polling import eventually

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

NUM_ASKED, NUM_RUNNING = 50, 8
FAULTS = (
    wire.rate_limited(0.3),
    wire.rate_limited(0.3, is_global=True),
    wire.banned(0.3),
    wire.FAILS,
    wire.OVERLOADED,
    wire.DROPS,
    wire.DROPS_AFTER,
    wire.HANGS,
)
"""With and without ``Via``, global, 5xx, dropped before and after it happened, silent."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("wire")
    hurried = "tests.scenarios.hurried"
    async with scene(
        folder, hurried, PARLEY_MAX_TOKENS="150", PARLEY_RUNNING=str(NUM_RUNNING)
    ) as it:
        yield it


@pytest.fixture
def discord(it: Scene) -> FakeDiscord:
    return it.discord


async def test_on_posts_every_reply_comes_once(it: Scene, discord: FakeDiscord) -> None:
    discord.fail(SEND, *FAULTS)
    questions = [await discord.ask("Say yes.", user=(ADA, BOB)[n % 2]) for n in range(4)]
    for question in questions:
        await it.ends_alone(question)
    assert discord.num_faults(SEND) == 0


async def test_on_edits_and_last_edits_every_reply_comes_whole(
    it: Scene, discord: FakeDiscord
) -> None:
    discord.fail(EDIT, *FAULTS)
    questions = [await it.ask_for_much(user=(ADA, BOB)[n % 2]) for n in range(4)]
    for question in questions:
        reply = await it.ends_alone(question)
        assert (discord.text(reply) or "").endswith("say “continue” for more)_")
    assert discord.num_faults(EDIT) == 0


async def test_on_answers_to_interactions_every_reply_comes_whole(
    it: Scene, discord: FakeDiscord
) -> None:
    discord.fail(EDIT_ORIGINAL, *FAULTS[:-1])
    before = set(it.replies(CHANNEL))
    asked = await asyncio.gather(*(discord.slash("ask", question="Say yes.") for _ in range(4)))
    assert all(each.callback == 5 for each in asked)

    def new() -> list[str]:
        return [each for each in it.replies(CHANNEL) if each not in before]

    await discord.until(lambda: sum(map(it.is_final, new())) == 4, 60)
    assert len(new()) == 4
    assert discord.num_faults(EDIT_ORIGINAL) == 0


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


async def test_a_line_that_drops_in_the_middle_of_a_reply_changes_nothing_for_people(
    it: Scene, discord: FakeDiscord
) -> None:
    question = await it.ask_for_much()
    await it.grows(question)
    num_before = discord.gateway.num_resumes
    discord.gateway.replay_again = 20
    await discord.gateway.drop()
    missed = await discord.ask("Say yes.")
    await it.ends_alone(question)
    await it.ends_alone(missed)
    assert discord.gateway.num_resumes > num_before
    discord.gateway.replay_again = 0


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


async def test_the_same_event_again_is_answered_once(it: Scene, discord: FakeDiscord) -> None:
    question = await discord.ask("Say yes.")
    event = discord.event_of(discord.messages[question])
    for _ in range(3):
        await discord.gateway.dispatch("MESSAGE_CREATE", event, GUILD)
    await it.ends_alone(question)


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


async def test_odd_payloads_end_nothing(it: Scene, discord: FakeDiscord) -> None:
    for event in ("MESSAGE_CREATE", "MESSAGE_REACTION_ADD", "INTERACTION_CREATE", "GUILD_CREATE"):
        for payload in ({}, {"id": None, "author": "me"}, {"id": "x", "content": f"<@{BOT}>"}):
            await discord.gateway.dispatch(event, dict(payload), GUILD)
    await it.ends_alone(await discord.ask("Say yes."))


async def test_fifty_interactions_at_once_are_all_acknowledged_before_they_are_answered(
    it: Scene, discord: FakeDiscord
) -> None:
    """Last, since their answers take a while."""
    discord.ack_seconds = 60.0  # however slow the machine is
    asking = (
        discord.slash("ask", question=f"{n}?", personality="rambler") for n in range(NUM_ASKED)
    )
    asked = await asyncio.gather(*asking)
    assert all(each.callback == 5 for each in asked)
    num_answered = sum(it.is_final(each.original) for each in asked if each.original)
    assert num_answered < NUM_ASKED - NUM_RUNNING, "some could only be answered after others"
