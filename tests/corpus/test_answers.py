"""The corpus is what it says it is: so many answers, none twice, every kind in every language."""

from __future__ import annotations

from itertools import groupby

import pytest

from tests.corpus.answers import Answer, MalformedCorpus, answers, read
from tests.corpus.kinds import KINDS

ANSWERS = answers()
LANGUAGES = {
    language: list(group)
    for language, group in groupby(ANSWERS, key=lambda answer: answer.language)
}


def test_there_are_twelve_languages() -> None:
    expected = ["ar", "de", "en", "es", "fr", "he", "hi", "ja", "ko", "ru", "th", "zh"]
    assert list(LANGUAGES) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_25_answers(language: str) -> None:
    assert len(LANGUAGES[language]) == 25


def test_no_two_answers_are_alike() -> None:
    assert len({answer.markdown for answer in ANSWERS}) == len(ANSWERS)
    assert len({(answer.language, answer.slug) for answer in ANSWERS}) == len(ANSWERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_occurs_in_every_language(kind: str) -> None:
    lacking = [language for language, found in LANGUAGES.items() if not occurs(kind, found)]
    assert not lacking


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_answers_that_need_several_messages(language: str) -> None:
    assert sum(len(answer.markdown) > 2000 for answer in LANGUAGES[language]) >= 2
    assert any(len(answer.markdown) > 3500 for answer in LANGUAGES[language])


@pytest.mark.parametrize(
    "text",
    [
        "Before the first header.\n<<< 01 soup >>>\nBoil it.\n",
        "<<< 01 soup >>>\nBoil it.\n<<< 03 bread >>>\nBake it.\n",
        "<<< 01 soup >>>\nBoil it.\n<<< 2 bread >>>\nBake it.\n",
        "<<< 01 soup >>>\n\n<<< 02 bread >>>\nBake it.\n",
    ],
)
def test_a_file_that_cannot_be_read_whole_is_refused(text: str) -> None:
    with pytest.raises(MalformedCorpus):
        read("en", text)


def test_an_answer_is_read_as_it_was_written() -> None:
    text = "<<< 01 soup >>>\n    code first\n\n- then a list\n\n<<< 02 bread >>>\n```py\nunclosed\n"
    assert read("en", text) == [
        Answer("en", 1, "soup", "    code first\n\n- then a list"),
        Answer("en", 2, "bread", "```py\nunclosed"),
    ]


def occurs(kind: str, found: list[Answer]) -> bool:
    return any(KINDS[kind].search(answer.markdown) for answer in found)
