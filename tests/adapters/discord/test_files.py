"""Files that come with a question: on disk before they are fetched, read when it is its turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.discord.talk import Talk, talking
from tests.fakes.discord import FakeDiscord, Fault
from tests.fakes.discord_guild import BOB, BOT, DIRECT, Json

CAT = ("cat.png", b"\x89PNG", "image/png")
NO_IMAGES = "I cannot see images (cat.png); please describe in words what matters."


@pytest.fixture
async def talk(tmp_path: Path, discord: FakeDiscord) -> AsyncIterator[Talk]:
    async with talking(tmp_path, discord) as talk:
        yield talk


@pytest.fixture(autouse=True)
def _calls_end_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.discord.api.rest._CLOSE_SECONDS", 0.05)


@pytest.fixture
def prices(discord: FakeDiscord) -> Json:
    return discord.attached("prices.csv", b"apple,3\npear,4\n", "text/csv")


async def test_text_is_read_and_images_are_declined_in_one_sentence(
    talk: Talk, discord: FakeDiscord, prices: Json
) -> None:
    question = await discord.ask("What is a pear?", attachments=[prices, discord.attached(*CAT)])
    generation = await talk.generation()
    assert generation.question == (
        "What is a pear?\n\n[Attached file: prices.csv]\n```\napple,3\npear,4\n```"
    )
    await discord.until(lambda: NO_IMAGES in discord.texts(question))
    await discord.touch(question)
    await talk.quiet()
    assert len(talk.generator.generations) == 1
    assert talk.num_files() == {"read": 1, "refused": 1}
    generation.finish()


async def test_a_file_without_a_word_is_a_question(
    talk: Talk, discord: FakeDiscord, prices: Json
) -> None:
    await discord.say("", channel=DIRECT, attachments=[prices])
    generation = await talk.generation()
    assert generation.question == "[Attached file: prices.csv]\n```\napple,3\npear,4\n```"
    generation.finish()


async def test_an_image_without_a_word_is_no_question(talk: Talk, discord: FakeDiscord) -> None:
    await discord.say("", channel=DIRECT, attachments=[discord.attached(*CAT)])
    await discord.says(NO_IMAGES, DIRECT)
    assert discord.num_fetched == 0
    assert await talk.turns() == []


async def test_what_is_too_large_or_too_many_is_said_and_the_rest_is_read(
    talk: Talk, discord: FakeDiscord
) -> None:
    huge = {**discord.attached("huge.log", b"x", "text/plain"), "size": 2_000_000}
    small = [discord.attached(f"{n}.py", b"print(1)", "text/x-python") for n in range(4)]
    question = await discord.ask("What do they do?", attachments=[huge, *small])
    generation = await talk.generation()
    read = [line for line in generation.question.split("\n") if line.startswith("[Attached")]
    assert read == [f"[Attached file: {n}.py]" for n in range(3)]
    says = "huge.log is too large for me: at most 1 MB, please. I read the first 4 files only."
    await discord.until(lambda: says in discord.texts(question))
    generation.finish()


async def test_a_file_alone_that_is_none_of_its_kind_is_told_in_the_reply(
    talk: Talk, discord: FakeDiscord
) -> None:
    broken = discord.attached("notes.txt", b"\x00\x01", "text/plain")
    await discord.say("", channel=DIRECT, attachments=[broken])
    await discord.says("I cannot read notes.txt: it holds no text that I understand.", DIRECT)
    assert len(discord.texts(DIRECT)) == 1


async def test_a_question_is_on_disk_while_its_file_is_fetched_and_outlives_a_crash(
    tmp_path: Path, discord: FakeDiscord, prices: Json
) -> None:
    discord.serves_files.clear()
    async with talking(tmp_path, discord) as talk:
        question = await discord.ask("What is a pear?", attachments=[prices])
        await discord.until(lambda: discord.num_fetched)
        placeholder = await discord.says("Thinking…", question)
        (turn,) = await talk.turns()
        assert turn.unread.attachments[0].name == "prices.csv"
    discord.serves_files.set()
    async with talking(tmp_path, discord) as talk:
        generation = await talk.generation()
        assert "pear,4" in generation.question
        generation.say("Four.")
        generation.finish()
        assert await discord.says("Four.", question) == placeholder
        assert discord.texts(question) == ["Four."]


async def test_stop_while_a_file_is_fetched_takes_effect_at_once(
    talk: Talk, discord: FakeDiscord, prices: Json
) -> None:
    discord.serves_files.clear()
    question = await discord.ask("What is a pear?", attachments=[prices])
    await discord.until(lambda: discord.num_fetched)
    await discord.react(question)
    await discord.says("Stopped.", question)
    assert talk.generator.generations == []
    discord.serves_files.set()


async def test_a_question_edited_while_its_file_is_fetched_is_asked_as_it_reads_now(
    talk: Talk, discord: FakeDiscord, prices: Json
) -> None:
    discord.serves_files.clear()
    question = await discord.ask("What is a pear?", attachments=[prices])
    await discord.until(lambda: discord.num_fetched == 1)
    await discord.change_text(question, f"<@{BOT}> What is an apple?")
    await discord.until(lambda: discord.num_fetched == 2)
    discord.serves_files.set()
    generation = await talk.generation()
    assert generation.question.startswith("What is an apple?\n\n[Attached file: prices.csv]")
    generation.finish()


async def test_an_edit_and_a_retry_keep_the_files_without_fetching_them_again(
    talk: Talk, discord: FakeDiscord, prices: Json
) -> None:
    talk.generator.replies.append("Four.")
    question = await discord.ask("What is a pear?", attachments=[prices])
    reply = await discord.says("Four.", question)
    await talk.ended(reply)
    await discord.change_text(question, f"<@{BOT}> And an apple?")
    generation = await talk.generation()
    assert (
        generation.question
        == "And an apple?\n\n[Attached file: prices.csv]\n```\napple,3\npear,4\n```"
    )
    assert discord.num_fetched == 1
    generation.finish()


async def test_what_was_said_before_is_read_once_the_question_is_on_disk(
    tmp_path: Path, discord: FakeDiscord
) -> None:
    first = await discord.say("The meeting is on Monday.", user=BOB)
    second = await discord.say("Which week?", reply_to=first)
    chain = "GET /channels/{channel_id}/messages/{message_id}"
    async with talking(tmp_path, discord) as talk:
        discord.fail(chain, Fault(hangs=True))
        await discord.say(f"<@{BOT}> When is it?", reply_to=second)
        await discord.until(lambda: discord.num_calls(chain))
        (turn,) = await talk.turns()
        assert turn.unread.earlier
    async with talking(tmp_path, discord) as talk:
        generation = await talk.generation()
        assert "Bob: The meeting is on Monday." in generation.question
        generation.finish()
