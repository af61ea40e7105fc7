"""Which spans of a text may be quoted."""

from __future__ import annotations

import pytest

from bot.strategies.sentences import sentences
from tests import quotations


def runs(text: str) -> list[list[str]]:
    return [[each.text for each in run] for run in sentences(text)]


def test_sentences_of_a_paragraph_follow_each_other_with_the_space_between_them() -> None:
    text = "It opens at nine.  On Sundays it is closed!\nIs that really so? “It is, indeed.” Yes."
    assert runs(text) == [
        [
            *("It opens at nine.", "  On Sundays it is closed!", " Is that really so?"),
            " “It is, indeed.” Yes.",
        ]
    ]


def test_a_line_break_becomes_a_space_and_an_empty_line_ends_the_run() -> None:
    assert runs("It opens\r\n  at nine.\r\n\r\nNot today.") == [
        ["It opens at nine."],
        ["Not today."],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith lives at No. 5 since the 3. May 1999.",
        "Es gilt Art. 5 Abs. 2 der Ordnung, z. B. Montags.",
        "Version 1.2 costs 4.50 euros.",
        "Yes. No. 5.",
    ],
)
def test_no_sentence_ends_within(text: str) -> None:
    assert runs(text) == [[text]]


def test_chinese_sentences_need_no_space() -> None:
    text = "图书馆早上九点开门，下午五点关门。周末休息一天半，节假日也不开放。"
    first, second = text.split("。")[:2]
    assert runs(text) == [[f"{first}。", f"{second}。"]]


def test_items_rows_and_lines_of_code_stand_alone_without_their_marks() -> None:
    text = "Prices:\n- Adults 4.50\n- Children,\n  up to six: free\n1. First\n> Said\n> twice\n"
    text += (
        "| day | hours |\n|---|---|\n| Monday | 9-17 |\n```sh\nrm -r *\n\n# all of it\n```\n# End\n"
    )
    assert runs(text) == [
        *(["Prices:"], ["Adults 4.50"], ["Children, up to six: free"], ["First"]),
        *(["Said"], ["twice"], ["day | hours"], ["Monday | 9-17"], ["rm -r *"]),
    ]


def test_nothing_without_letters_is_quoted() -> None:
    assert runs("***\n\n!!! ???\n\n- \n\n|   |\n\n§ 5\n\n\ud83d broken half") == []


def test_a_long_sentence_is_cut_after_a_clause_and_its_rest_is_known_as_such() -> None:
    text = "one two three, " * 40 + "and that is all."
    parts = sentences(text)[0]
    assert "".join(each.text for each in parts) == text
    assert [each.is_rest for each in parts] == [False, True]
    assert all(each.text.endswith(",") for each in parts[:-1])
    assert all(len(each.text) <= 320 for each in parts)


@pytest.mark.parametrize("text", ["x" * 1_000, "word " * 200 + "end"])
def test_what_has_no_clause_is_cut_nevertheless(text: str) -> None:
    parts = sentences(text)[0]
    assert "".join(each.text for each in parts) == text
    assert len(parts) == 4


def test_every_run_of_random_texts_is_a_span_of_its_text_as_people_see_it() -> None:
    for seed in range(200):
        for source in quotations.corpus(seed).sources:
            for run in sentences(source.excerpt):
                said = "".join(each.text for each in run)
                assert said == said.strip()
                assert quotations.fault(f"> “{said}” [1]", [source]) == ""
