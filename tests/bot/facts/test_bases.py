"""Fact bases: documents of a folder are found by questions, and what changes is read again."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bot.facts import bases
from bot.facts.bases import FactBases
from bot.facts.folder import FolderState, scan
from bot.facts.index import IndexReader
from bot.types import Personality
from tests.bot.documents.documents import document, paragraph, run
from tests.bot.documents.test_reader import pdf, shown
from tests.bot.facts.folders import HANDBOOK, SCHOOL, Facts, facts_in
from tests.scenarios.polling import eventually


@pytest.fixture
def facts(tmp_path: Path) -> Iterator[Facts]:
    with facts_in(tmp_path) as facts:
        yield facts


async def test_a_question_finds_the_passage_with_its_file_and_headings(facts: Facts) -> None:
    facts.write("handbook.md", HANDBOOK)
    await facts.refresh()
    first, *_ = await facts.search("How much does a meal in the canteen cost?")
    assert first.kind == "fact"
    assert first.name == "handbook.md"
    assert "A meal costs four euros" in first.excerpt
    assert first.excerpt in HANDBOOK
    assert facts.counted("searches_total", outcome="found") == 1
    assert facts.counted("files_total", outcome="read") == 1
    assert facts.counted("passages") == 1


@pytest.mark.parametrize(
    "said",
    [
        *("thanks!", "Danke schön :)", "Merci beaucoup", "", "?!", "…", "what is this?"),
        *("Photosynthese der Algen", 'lunch" OR NEAR(', "words:*", "-", "x AND y NOT z"),
    ],
)
async def test_what_asks_for_nothing_that_is_there_finds_nothing(facts: Facts, said: str) -> None:
    facts.write("buses.md", "The bus leaves at seven from the gate, and comes back at four.\n")
    await facts.refresh()
    assert await facts.names(said) == []
    assert facts.counted("searches_total", outcome="failed") is None


async def test_what_is_too_long_for_a_word_is_like_none(facts: Facts) -> None:
    """To compare a pasted word of 20,000 letters took minutes."""
    facts.write("buses.md", "The bus leaves at seven from the gate, and comes back at four.\n")
    await facts.refresh()
    assert await facts.names(f"bus {'gateleaves' * 2_000}?") == ["buses.md"]
    assert await asyncio.to_thread(_words_like, facts.index, "leavesxx") == ["leaves"]
    assert await asyncio.to_thread(_words_like, facts.index, "leaves" * 7) == []


async def test_a_folder_that_leads_to_itself_and_a_machine_without_room_stop_no_refresh(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = facts.personalities / "loop"
    loop.symlink_to(loop)
    facts.write("handbook.md", HANDBOOK)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(facts.folder / "missing"))
        await facts.refresh()
    lost = replace(SCHOOL, facts="loop")
    for _ in range(31):  # it rests after what failed
        await facts.bases.refresh([lost, SCHOOL])
    assert await facts.search("lunch in the canteen", lost) == ()
    assert await facts.names("lunch in the canteen") == ["handbook.md"]


def _words_like(index: Path, word: str) -> list[str]:
    with closing(IndexReader(index)) as reader:
        return reader.words_like(word, 5)


async def test_a_personality_without_facts_finds_nothing_and_counts_nothing(facts: Facts) -> None:
    assert await facts.search("lunch", Personality("a", "A", "Answer.")) == ()
    assert facts.metrics.registry.get_sample_value("parley_fact_searches_total") is None


async def test_a_search_before_the_first_index_waits_for_it(
    facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_look = threading.Event()

    def look_late(folder: Path) -> FolderState:
        may_look.wait()
        return scan(folder)

    monkeypatch.setattr(bases, "scan", look_late)
    facts.write("handbook.md", HANDBOOK)
    updating = asyncio.create_task(facts.refresh())
    questions = ("lunch in the canteen", "the yellow bus")
    searches = [asyncio.create_task(facts.names(each)) for each in questions]
    try:
        await eventually(
            lambda: len(facts.told) == len(searches) or any(each.done() for each in searches)
        )
    finally:
        may_look.set()
    assert await asyncio.gather(*searches) == [["handbook.md"]] * 2
    await updating
    assert facts.told == ["reading the documents"] * 2
    assert facts.counted("files_total", outcome="read") == 1
    assert await facts.names("lunch in the canteen") == ["handbook.md"]
    assert len(facts.told) == 2


async def test_where_nothing_else_reads_the_documents_a_search_does(facts: Facts) -> None:
    facts.write("handbook.md", HANDBOOK)
    assert await facts.names("lunch in the canteen") == ["handbook.md"]


async def test_who_searches_alone_finds_what_has_changed_since_the_last_index(facts: Facts) -> None:
    facts.write("handbook.md", HANDBOOK)
    await facts.refresh()
    facts.write("ferry.md", "The ferry leaves from the pier at six.\n")
    assert await facts.names("the ferry from the pier") == []
    alone = FactBases(facts.personalities, facts.data_dir, facts.metrics, refreshes=False)
    with closing(alone):
        for _ in range(2):
            found = await alone.search(SCHOOL, "the ferry from the pier", facts.told.append)
            assert [each.name for each in found] == ["ferry.md"]
    assert facts.told == ["reading the documents"]


async def test_a_search_that_is_stopped_meanwhile_leaves_the_documents_to_the_next(
    facts: Facts,
) -> None:
    facts.write("handbook.md", HANDBOOK)
    searching = asyncio.create_task(facts.names("lunch in the canteen"))
    while not facts.told:  # noqa: ASYNC110 - until the search says so
        await asyncio.sleep(0)
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    assert await facts.names("lunch in the canteen") == ["handbook.md"]


async def test_what_cannot_be_indexed_is_not_waited_for_again(facts: Facts) -> None:
    facts.folder.rmdir()
    assert await facts.names("lunch in the canteen") == []
    assert await facts.names("lunch in the canteen") == []
    assert facts.told == ["reading the documents"]
    assert facts.counted("searches_total", outcome="not ready") == 2


async def test_files_that_change_come_and_go_are_found_as_they_are_now(facts: Facts) -> None:
    path = facts.write("hours.txt", "The library opens at nine.\n")
    await facts.refresh()
    assert await facts.names("When does the library open?") == ["hours.txt"]

    path.write_text("The gymnasium opens at eight.\n")
    facts.write("deep/er/pool.md", "# Pool\n\nThe swimming pool is closed on Mondays.\n")
    await facts.refresh()
    assert await facts.names("the library") == []
    assert await facts.names("When does the gymnasium open?") == ["hours.txt"]
    assert await facts.names("Is the swimming pool closed on Monday?") == ["deep/er/pool.md"]

    path.rename(path.with_name("gym.txt"))
    (facts.folder / "deep" / "er" / "pool.md").unlink()
    await facts.refresh()
    assert await facts.names("gymnasium") == ["gym.txt"]
    assert await facts.names("swimming pool") == []
    assert facts.counted("files_total", outcome="removed") == 2
    assert facts.counted("passages") == 1


async def test_an_unchanged_folder_is_not_indexed_again(facts: Facts) -> None:
    facts.write("handbook.md", HANDBOOK)
    await facts.refresh()
    await facts.refresh()
    assert facts.counted("files_total", outcome="read") == 1


@pytest.mark.parametrize("damage", [b"no database at all" * 300, None])
async def test_an_index_that_is_damaged_or_of_another_version_is_built_anew(
    facts: Facts, damage: bytes | None
) -> None:
    facts.write("handbook.md", HANDBOOK)
    await facts.refresh()
    if damage is None:
        with closing(sqlite3.connect(facts.index)) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        facts.index.write_bytes(damage)
    assert await facts.names("lunch in the canteen") == []
    assert facts.counted("searches_total", outcome="failed") == 1
    await facts.refresh()
    assert await facts.names("lunch in the canteen") == ["handbook.md"]


async def test_files_that_cannot_be_read_are_told_once(
    facts: Facts, caplog: pytest.LogCaptureFixture
) -> None:
    facts.write("empty.md", " \n")
    facts.write("noise.txt", bytes(range(256)) * 40)
    facts.write("broken.pdf", b"%PDF-1.4 and nothing more")
    facts.write("picture.png", b"\x89PNG")
    facts.write(".hidden.md", "Hidden facts.\n")
    (facts.folder / "outside.md").symlink_to(facts.write("../secret.md", "A secret.\n"))
    facts.write("good.md", "The garden is green.\n")
    with caplog.at_level(logging.WARNING):
        await facts.refresh()
        (facts.folder / "good.md").write_text("The garden is large and green.\n")
        await facts.refresh()
    told = [each.getMessage() for each in caplog.records]
    assert sorted(line.rpartition("/")[2] for line in told) == [
        ".hidden.md is hidden.",
        "broken.pdf is of another format than its name says.",
        "empty.md has no text.",
        "noise.txt is no text in an encoding that is known.",
        "outside.md is a link to a file outside of the folder.",
        "picture.png is of a kind that is not read; Markdown, text, CSV, PDF, DOCX and HTML are.",
    ]
    assert await facts.names("the green garden") == ["good.md"]
    assert await facts.names("secret") == []
    assert facts.counted("files_total", outcome="unread") == 3


async def test_foreign_formats_and_encodings_are_read(facts: Facts) -> None:
    facts.write("rules.pdf", pdf(shown("Bicycles are parked behind the gymnasium.")))
    facts.write("trip.docx", document(paragraph(run("The excursion goes to the lighthouse."))))
    facts.write("latin.txt", "Die Schüler müssen die Bücher zurückbringen.\n".encode("cp1252"))
    facts.write("rooms.csv", "name;room\nMeier;A 12\nKowalski;B 7\n")
    await facts.refresh()
    assert await facts.names("Where do I park my bicycle?") == ["rules.pdf"]
    assert await facts.names("Where does the excursion go?") == ["trip.docx"]
    assert await facts.names("Bücher zurück bringen") == ["latin.txt"]
    (rooms,) = await facts.search("In which room is Kowalski?")
    assert (rooms.name, rooms.heading) == ("rooms.csv", ("name;room",))


async def test_a_folder_that_vanishes_is_told_and_its_facts_stay(
    facts: Facts, caplog: pytest.LogCaptureFixture
) -> None:
    facts.write("handbook.md", HANDBOOK)
    await facts.refresh()
    facts.folder.rename(facts.folder.with_name("elsewhere"))
    await facts.refresh()
    await facts.refresh()
    (told,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert "the folder of facts cannot be read (No such file or directory)." in told
    assert await facts.names("lunch in the canteen") == ["handbook.md"]
