"""What Discord refuses to show: a filter's words, a reply without the history, a closed thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.errors import TextRefused, refusal_for_people
from bot.stored import TurnState
from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import EDIT, SEND, FakeDiscord, Fault
from tests.fakes.discord_guild import CHANNEL

SENTENCE = refusal_for_people(TextRefused("edit", "240000"))


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


@pytest.fixture(params=[240000, 200000, 20009], ids=["links", "automod", "explicit"])
def code(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


async def test_an_edit_that_a_filter_refuses_ends_with_a_sentence_and_without_stop(
    talk: Talk, discord: FakeDiscord, code: int
) -> None:
    discord.filter["evil.example"] = code
    question, generation = await talk.asked("Where?")
    generation.say("See ")
    message = await discord.says("See", question)
    generation.say("https://evil.example/a for more.")
    generation.finish()
    await discord.says(SENTENCE, question)
    await talk.ended(message)
    assert discord.texts(question) == [SENTENCE]
    assert "Stop" not in discord.buttons(message)
    assert await talk.state(question) is TurnState.FAILED


async def test_a_first_post_that_a_filter_refuses_is_a_sentence(
    talk: Talk, discord: FakeDiscord, code: int
) -> None:
    discord.filter |= {"evil.example": code, "Thinking": code}
    talk.generator.replies.append("See https://evil.example/a.")
    question = await discord.ask("Where?")
    message = await discord.says(SENTENCE, question)
    await talk.ended(message)
    assert await talk.state(question) is TurnState.FAILED


async def test_where_every_edit_is_refused_the_answer_is_a_message_of_its_own(
    talk: Talk, discord: FakeDiscord, code: int
) -> None:
    question, generation = await talk.asked("Where?")
    await discord.says("Thinking…", question)
    discord.fail(EDIT, *[Fault(400, {"message": "no", "code": code})] * 3)
    generation.say("Here.")
    generation.finish()
    await discord.says("Here.", question)
    await talk.is_over(question)
    assert discord.texts(question) == ["Here."]
    assert await talk.state(question) is TurnState.DONE


@pytest.mark.parametrize("private", [True, False], ids=["private", "public"])
async def test_a_filtered_answer_to_a_command_is_a_sentence_in_the_same_message(
    talk: Talk, discord: FakeDiscord, code: int, private: bool
) -> None:
    discord.filter["evil.example"] = code
    talk.generator.replies.append("See https://evil.example/a.")
    asked = await discord.slash("ask", question="Where?", private=private)
    await discord.until(lambda: discord.answer_to(asked) == SENTENCE)


@pytest.mark.parametrize("threads", [True, False], ids=["threads", "no threads"])
async def test_without_the_history_a_reply_comes_without_its_reference(
    tmp_path: Path, discord: FakeDiscord, threads: bool
) -> None:
    discord.forbidden |= {("read", CHANNEL), ("thread", CHANNEL)}
    async with talking(tmp_path, discord, threads=threads) as talk:
        talk.generator.replies.append("The answer.")
        question = await discord.ask("Why?")
        message = await discord.says("The answer.", CHANNEL)
        await talk.ended(message)
        assert discord.texts(CHANNEL) == ["The answer."]
        assert await talk.state(question) is TurnState.DONE


async def test_where_threads_cannot_be_written_in_the_answer_is_a_reply_in_the_channel(
    talk: Talk, discord: FakeDiscord
) -> None:
    discord.forbidden.add(("write in threads", CHANNEL))
    talk.generator.replies.append("word " * 500)
    question = await discord.ask("Why?")
    await talk.is_over(question)
    assert len(discord.texts(CHANNEL)) == 2
    assert await talk.state(question) is TurnState.DONE
    assert discord.num_calls(SEND) == 3


async def test_where_nothing_can_be_posted_the_turn_is_not_done(
    talk: Talk, discord: FakeDiscord
) -> None:
    discord.forbidden |= {("write", CHANNEL), ("thread", CHANNEL)}
    talk.generator.replies.append("The answer.")
    question = await discord.ask("Why?")
    await talk.is_over(question)
    assert await talk.state(question) is TurnState.FAILED
