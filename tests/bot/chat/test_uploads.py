"""Files that come with a question of a chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.chats import Upload
from bot.errors import AccessDenied, EmptyQuestion
from bot.stored import TurnState
from tests.bot.chat.page import ADA, Page, watch_files
from tests.bot.documents.documents import document, paragraph
from tests.bot.documents.test_reader import pdf, shown
from tests.bot.talk import StageClock, Talk, talking
from tests.bot.test_conversation_files import locked_pdf

NOTES = Upload("notes.txt", "text/plain", b"The secret is 42.")
SHOWN_NOTES = "[Attached file: notes.txt]\n```\nThe secret is 42.\n```"
PHOTO = Upload("photo.png", "image/png", b"\x89PNG")
BLIND = "I cannot see images (photo.png); please describe in words what matters."


def uploads(tmp_path: Path) -> list[bytes]:
    return [path.read_bytes() for path in (tmp_path / "uploads").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("file", "seen"),
    [
        (NOTES, SHOWN_NOTES),
        (Upload("a.py", "", "print('ä')".encode("cp1252")), "print('ä')"),
        (Upload("a.pdf", "", pdf(shown("The budget is 42."))), "The budget is 42."),
        (Upload("a.docx", "", document(paragraph("It is 42.", "berschrift1"))), "# It is 42."),
    ],
)
async def test_the_model_reads_what_comes_with_a_question(
    talk: Talk, page: Page, tmp_path: Path, file: Upload, seen: str
) -> None:
    turn = await page.answered("What is it?", "A file.", files=[file])
    asked = talk.generator.generations[-1].question
    assert asked.startswith("What is it?\n\n[Attached file: ")
    assert seen in asked
    assert (turn.files, turn.answers[0].note) == ((file.name,), "")
    assert uploads(tmp_path) == []


async def test_a_file_is_on_disk_before_its_question_is(
    talk: Talk, page: Page, tmp_path: Path
) -> None:
    first = await page.ask("Hello?")
    generation = await page.led()
    second = await page.ask("And this?", files=[NOTES])
    assert second.files == ("notes.txt",)
    assert uploads(tmp_path) == [NOTES.data]
    generation.say("Hi.")
    generation.finish()
    await page.shows(first.id)
    await page.led()
    assert uploads(tmp_path) == []


async def test_a_question_may_be_a_file_alone(talk: Talk, page: Page) -> None:
    turn = await page.answered(" ", "A secret.", files=[NOTES])
    assert talk.generator.generations[-1].question == SHOWN_NOTES
    assert turn.question == ""
    (summary,) = await page.port.chats(ADA)
    assert summary.title == "notes.txt"


async def test_what_could_not_be_read_is_said_with_the_answer(page: Page, tmp_path: Path) -> None:
    locked = Upload("plan.pdf", "application/pdf", locked_pdf())
    turn = await page.answered("And these?", "One file.", files=[locked, PHOTO, NOTES])
    answer = turn.answers[0]
    assert (answer.reply, answer.state) == ("One file.", TurnState.DONE)
    sentence = "plan.pdf is locked with a password; please attach a copy without one."
    assert answer.note == f"{sentence} {BLIND}"
    assert uploads(tmp_path) == []


async def test_more_files_than_are_read_are_said_to_be_left_out(page: Page) -> None:
    turn = await page.answered("All?", "Four.", files=[NOTES] * 5)
    assert turn.answers[0].note == "I read the first 4 files only."


async def test_a_file_alone_that_cannot_be_read_is_no_question(page: Page, tmp_path: Path) -> None:
    with pytest.raises(EmptyQuestion, match="I cannot see images"):
        await page.port.ask(ADA, None, "", files=[PHOTO])
    assert await page.port.chats(ADA) == []
    locked = Upload("plan.pdf", "", locked_pdf())
    turn = await page.ask("", files=[locked])
    answer = await page.shows(turn.id)
    assert answer.state is TurnState.FAILED
    assert "locked with a password" in answer.note
    assert uploads(tmp_path) != []  # asking again reads it again


async def test_nothing_is_kept_of_a_question_that_is_refused(tmp_path: Path) -> None:
    clock = StageClock()
    async with talking(tmp_path, clock=clock, deny=[ADA.person.id]) as talk:
        with pytest.raises(AccessDenied):
            await Page(talk).port.ask(ADA, None, "Hello?", files=[NOTES])
    assert uploads(tmp_path) == []


async def test_files_of_a_forgotten_chat_are_gone(talk: Talk, page: Page, tmp_path: Path) -> None:
    await page.ask("Hello?")
    await page.led()
    await page.ask("And this?", files=[NOTES])
    assert uploads(tmp_path) != []
    await page.port.forget_chat(ADA, page.chat_id)
    assert uploads(tmp_path) == []


async def test_a_parley_that_was_killed_reads_the_files_at_the_next_start(
    tmp_path: Path,
) -> None:
    clock = StageClock()
    async with talking(tmp_path, clock=clock) as talk:
        watch_files(clock, talk)
        page = Page(talk)
        first = await page.ask("Hello?")
        await page.led()
        await page.ask("And this?", files=[NOTES])
        chat_id = page.chat_id
        page.close()
    orphan = tmp_path / "uploads" / "0a" / "0b"
    orphan.parent.mkdir()
    orphan.write_bytes(b"of a question that never was")
    clock = StageClock()
    async with talking(tmp_path, clock=clock) as talk:
        watch_files(clock, talk)
        assert b"of a question" not in b"".join(uploads(tmp_path))
        talk.generator.replies += ["Hi.", "42."]
        page = Page(talk)
        await page.open(chat_id)
        assert len(page.turns) == 2
        (second,) = page.turns.keys() - {first.id}
        assert (await page.shows(second)).reply == "42."
        assert SHOWN_NOTES in talk.generator.generations[-1].question
        page.close()
    assert uploads(tmp_path) == []
