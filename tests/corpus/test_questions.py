"""Questions in other words than the corpus has find their passages, among others that distract."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from shutil import copytree

import pytest

from bot.facts import ranking
from bot.facts.index import IndexReader
from bot.facts.updating import update
from tests.corpus.questions import (
    DOCUMENTS,
    asked_facts,
    distractors,
    recall_at_5,
    unanswerable,
)

MIN_RECALL = 0.9
MAX_ANSWERED = 4


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexReader]:
    root = tmp_path_factory.mktemp("facts")
    copytree(DOCUMENTS, root / "documents")
    for number, text in enumerate(distractors(50, 600)):
        (root / "documents" / f"{number}.md").write_text(text)
    asyncio.run(update(root / "documents", root / "index.sqlite"))
    with closing(IndexReader(root / "index.sqlite")) as reader:
        yield reader


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_nine_of_ten_passages_are_among_the_five_found(reader: IndexReader, language: str) -> None:
    recall = recall_at_5(reader, [e for e in asked_facts() if e.path.startswith(language)])
    missed = "\n".join(each.question for each in recall.missed)
    assert recall.share >= MIN_RECALL, f"{recall.share:.3f} of {recall.num_asked}:\n{missed}"


def test_what_is_chatted_finds_nothing_but_now_and_then(reader: IndexReader) -> None:
    found = [each for each in unanswerable() if ranking.find(reader, each, 5)]
    assert len(found) <= MAX_ANSWERED, "\n".join(found)


def test_the_phrase_of_an_answer_stands_in_its_document() -> None:
    wrong = [
        each
        for each in asked_facts()
        if each.phrase not in (DOCUMENTS / each.path).read_text("utf-8")
    ]
    assert wrong == []


def test_there_are_two_hundred_questions_in_three_languages() -> None:
    asked = asked_facts()
    assert len({each.question for each in asked}) == len(asked) >= 200
    assert {each.path[:2] for each in asked} == {"en", "de", "fr"}
