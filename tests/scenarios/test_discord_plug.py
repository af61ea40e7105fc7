"""Pulling the plug on a Parley that speaks on Discord: its own process, the real model."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.discord import SEND, FakeDiscord, Fault
from tests.fakes.discord_guild import CHANNEL, DIRECT
from tests.scenarios.asking import metric
from tests.scenarios.discord_scene import SECONDS, WAITING, Scene, scene

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

MAX_TOKENS = "20"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """One Parley, killed and started again by each test."""
    folder = tmp_path_factory.mktemp("plug")
    async with scene(folder, PARLEY_RUNNING="1", PARLEY_MAX_TOKENS=MAX_TOKENS) as it:
        yield it


@pytest.fixture
def discord(it: Scene) -> FakeDiscord:
    return it.discord


async def pull_the_plug(it: Scene) -> None:
    """What was left is finished soon by the next process."""
    await it.parley.kill()
    it.brake.unlink()
    await it.parley.start()


async def test_while_a_reply_streams_it_is_finished_in_the_same_message(it: Scene) -> None:
    it.brake.touch()
    question = await it.ask_for_much()
    reply = await it.grows(question)
    await pull_the_plug(it)
    assert await it.ends_alone(question) == reply
    assert it.turn(question).attempts == 2


async def test_while_a_file_is_fetched_it_is_read_by_the_next_process(
    it: Scene, discord: FakeDiscord
) -> None:
    discord.serves_files.clear()
    num_before = discord.num_fetched
    file = discord.attached("tide.txt", b"The tide comes at noon.", "text/plain")
    question = await discord.ask("When?", attachments=[file])
    await discord.until(lambda: discord.num_fetched > num_before, SECONDS)
    assert not it.turn(question).is_finished
    await it.parley.kill()
    discord.serves_files.set()
    await it.parley.start()
    await it.ends_alone(question)
    assert discord.num_fetched == num_before + 2
    assert await metric(it.parley, "parley_files_total") == 1


async def test_between_the_post_and_its_record_no_second_message_appears(
    it: Scene, discord: FakeDiscord
) -> None:
    discord.fail(SEND, Fault(hangs=True, happens=True))
    question = await discord.ask("Say yes.")
    orphan = await it.placeholder(question)
    await it.parley.kill()
    assert it.turn(question).posts == ()
    await it.parley.start()
    assert await it.ends_alone(question) == orphan


async def test_an_answer_to_a_command_is_finished_by_the_next_process(
    it: Scene, discord: FakeDiscord
) -> None:
    it.brake.touch()
    before = it.replies(CHANNEL)
    asked = await discord.slash("ask", question="Tell me a story.", personality="rambler")
    await discord.until(lambda: not (discord.answer_to(asked) or "Thinking").startswith(WAITING))
    await pull_the_plug(it)
    await it.ends(asked.original)
    assert it.replies(CHANNEL) == [*before, asked.original]


async def test_buttons_and_stop_reactions_work_on_a_message_from_before(
    it: Scene, discord: FakeDiscord
) -> None:
    it.brake.touch()
    question = await it.ask_for_much()
    reply = await it.grows(question)
    await it.parley.kill()
    await it.parley.start()
    await it.grows(question, after=len(discord.shown))
    await discord.press(reply, "Stop")
    assert (await it.ends(reply)).endswith("_(stopped)_")
    await pull_the_plug(it)
    it.brake.touch()
    seen = len(discord.shown)
    await discord.press(reply, "Retry")
    await it.grows(question, after=seen)
    await discord.react(reply)
    assert (await it.ends(reply)).endswith("_(stopped)_")
    shown = await discord.press(reply, "Personality…")
    menu = discord.messages[shown.original]["components"][0]["components"][0]
    chosen = {"component_type": 3, "custom_id": menu["custom_id"], "values": ["tutor"]}
    await discord.press_id(shown.original, chosen)
    says = "answers in this thread from now on."
    await discord.until(lambda: any(text.endswith(says) for text in discord.texts(question)))


async def test_a_term_signal_ends_with_zero_and_the_line_closed(it: Scene) -> None:
    await it.discord.say("Hello", channel=DIRECT)
    await it.discord.until(lambda: it.replies(DIRECT), SECONDS)
    await it.discord.say("stop", channel=DIRECT)
    assert await it.parley.stop() == 0
    await it.discord.until(lambda: not it.discord.gateway.is_connected)
    await it.parley.start()
