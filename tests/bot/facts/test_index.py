"""The index while another process writes it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bot.facts import ranking
from bot.facts.folder import FileStamp
from bot.facts.index import IndexedFile, IndexReader, IndexWriter
from bot.facts.passages import Passage

FILE = IndexedFile("hours.md", FileStamp(1, 2, 3), None)


def found(path: Path, question: str) -> list[str]:
    with closing(IndexReader(path)) as reader:
        return [each.text for each in ranking.find(reader, question, 5)]


def test_what_is_being_written_is_found_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with closing(IndexWriter(path)) as writer:
        with writer.transaction():
            assert writer.put(FILE, [Passage("The library opens at nine.")]) == 1
        with writer.transaction():
            writer.put(FILE, [Passage("The library opens at ten.")])
            assert found(path, "When does the library open?") == ["The library opens at nine."]
        assert found(path, "When does the library open?") == ["The library opens at ten."]


def test_of_what_is_removed_no_word_stays(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with closing(IndexWriter(path)) as writer:
        with writer.transaction():
            writer.put(FILE, [Passage("Straße der Schüler", ("Öffnungszeiten",))])
        with closing(IndexReader(path)) as reader:
            words = ["hours", "offnungszeiten", "schuler", "strasse"]
            assert reader.nums_with(words) == dict.fromkeys(words, 1)
        with writer.transaction():
            writer.remove("hours.md")
        with closing(IndexReader(path)) as reader:
            assert reader.nums_with(words) == {}
            assert reader.num_passages() == 0
