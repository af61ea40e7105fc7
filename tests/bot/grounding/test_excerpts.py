"""The part of a long page that a prompt holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.grounding.excerpts import GAP, excerpt

LONG = "\n\n".join(
    f"Paragraph {number} speaks of topic{number} and nothing else." for number in range(300)
)


def test_a_text_that_fits_stands_whole() -> None:
    assert excerpt(" One.\n\nTwo. ", "Anything?", 100) == ("One.\n\nTwo.", False)


def test_a_long_text_is_its_beginning_and_what_matches_the_question() -> None:
    text, is_cut = excerpt(LONG, "What is said of topic217?", 1_000)
    assert is_cut
    assert text.startswith("Paragraph 0 speaks")
    assert "topic217" in text
    assert f"\n\n{GAP}\n\nParagraph 217" in text
    assert len(text) <= 1_000


def test_words_without_spaces_match_by_their_characters() -> None:
    text = "\n\n".join(["天气很好。" * 30] * 20 + ["学校周五放假。"] + ["天气很好。" * 30] * 20)
    assert "学校周五放假" in excerpt(text, "学校什么时候放假？", 900)[0]


def test_a_line_without_end_is_cut_by_its_length() -> None:
    assert excerpt("x" * 9_000, "Why?", 3_000) == (
        "\n\n".join(["x" * 1_200, "x" * 1_200]),
        True,
    )


@given(
    st.lists(st.text("ab \n.", max_size=400), max_size=12).map("\n\n".join),
    st.text("ab ", max_size=30),
    st.integers(0, 900),
)
def test_it_fits_and_every_piece_is_part_of_the_text(text: str, question: str, most: int) -> None:
    found, is_cut = excerpt(text, question, most)
    assert len(found) <= most or not is_cut
    assert is_cut == (len(text.strip()) > most)
    for piece in found.split(f"\n\n{GAP}\n\n"):
        assert all(each in text for each in piece.split("\n\n"))
