"""A cut text reads like the whole: nothing lost, nothing torn, every fence closed."""

from __future__ import annotations

import html
import re
from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.spans import is_between_graphemes, unbreakable
from bot.markup import Layout, complete, open_fence
from bot.types import Rendered


def escaped(markdown: str) -> Rendered:
    return Rendered(html.escape(markdown, quote=False))


def plain(markdown: str) -> Rendered:
    return Rendered(markdown)


def parts(markdown: str, max_size: int) -> list[str]:
    return list(Layout(plain, max_size).parts(markdown))


def words(text: str) -> list[str]:
    """All words but those of fence lines, which parts repeat."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(```|~~~)", line)]
    return " ".join(lines).split()


def test_a_text_that_fits_is_one_part_as_it_is() -> None:
    assert parts("Hello **you**.", 100) == ["Hello **you**."]


def test_nothing_but_space_is_no_part() -> None:
    assert parts(" \n\n ", 100) == []


def test_a_cut_prefers_the_end_of_a_paragraph_to_the_last_word_that_fits() -> None:
    text = "One two three four five.\n\nSix seven eight nine ten eleven."
    assert parts(text, 36) == ["One two three four five.", "Six seven eight nine ten eleven."]


def test_a_cut_far_behind_what_fits_is_not_preferred() -> None:
    assert parts("One.\n\nTwo three four five six.", 24) == ["One.\n\nTwo three four", "five six."]


def test_a_cut_inside_a_code_fence_closes_it_and_opens_it_again_with_the_same_info() -> None:
    code = "\n".join(f"print({n})" for n in range(10))
    cut = parts(f"Look:\n```python title=x\n{code}\n```\nDone.", 60)
    assert cut[0].startswith("Look:\n```python title=x\nprint(0)")
    assert all(part.endswith("\n```") for part in cut[:-1])
    assert all(part.startswith("```python title=x\nprint(") for part in cut[1:])
    assert cut[-1].endswith("print(9)\n```\nDone.")


def test_a_longer_fence_is_closed_by_its_own_length() -> None:
    text = "````md\n```\ninner code\n```\nmore of the outer\nand more of it\n````"
    for part in parts(text, 40):
        assert part.startswith("````md")
        assert part.endswith("\n````")


def test_a_fence_that_ends_right_at_the_cut_leaves_no_empty_block_behind() -> None:
    layout = Layout(plain, 24)
    assert layout.parts("```py\nabcdefgh\nijklm\nxyz") == [
        "```py\nabcdefgh\nijklm\n```",
        "```py\nxyz\n```",
    ]
    layout = Layout(plain, 24)
    growing = "```py\nabcdefgh\nijklm\n"
    assert layout.parts(growing + "no")[0] == "```py\nabcdefgh\nijklm\n```"
    assert layout.parts(growing + "``")[1:] == []
    assert layout.parts(growing + "```\nAfter the code.")[1:] == ["After the code."]


def test_a_fence_line_without_code_yet_is_held_back() -> None:
    assert parts("Look:\n```python", 100) == ["Look:"]
    assert parts("Look:\n```python\nx", 100) == ["Look:\n```python\nx\n```"]


@pytest.mark.parametrize(
    "whole",
    [
        "[the guide of the house](https://example.org/guide_(new))",
        "`a piece of code with spaces`",
        "``a ` piece of code``",
        "https://example.org/a/very/long/path?query=1",
        "<https://example.org/a/very/long/path>",
        "**strong words stay together**",
        "![a picture of a cat](https://example.org/cat.png)",
        "[see [the] guide][ref]",
    ],
)
def test_what_belongs_together_is_never_torn(whole: str) -> None:
    for width in range(len(whole) + 1, len(whole) + 30):
        cut = parts(f"Some words before it {whole} and some words after it.", width)
        assert any(whole in part for part in cut), cut


@pytest.mark.parametrize("begun", ["[the guide of", "[the guide](https://exa", "`some code"])
def test_a_link_or_code_span_that_is_still_growing_is_not_cut(begun: str) -> None:
    cut = parts(f"Some words before it {begun}", 26)
    assert cut == ["Some words before it", begun]


def test_a_lone_bracket_or_backtick_long_ago_does_not_glue_the_text_together() -> None:
    text = "a [ b ` c " + "word " * 1000
    assert all(len(part) > 400 for part in parts(text, 500)[:-1])


def test_a_list_marker_is_not_left_behind() -> None:
    assert parts("intro words\n\n- abcdefghijkl", 15) == ["intro words", "- abcdefghijkl"]


@pytest.mark.parametrize("mark", ["```", "~~~", "- 2", "# 2", "1. b", "> b"])
def test_a_mark_amid_a_line_does_not_come_to_begin_one(mark: str) -> None:
    for width in range(len(mark) + 6, 20):
        cut = parts(f"some words {mark} more words", width)
        assert not any(part.startswith(mark) for part in cut)


def test_an_indented_list_keeps_its_indentation_in_the_next_part() -> None:
    assert parts("- one\n  - two\n  - three", 14) == ["- one\n  - two", "  - three"]


def test_a_long_single_word_is_cut_where_no_character_breaks() -> None:
    family = "👩‍👩‍👧‍👦"
    cut = parts(family * 10, 16)
    assert "".join(cut) == family * 10
    assert all(part == family * (len(part) // len(family)) for part in cut)


def test_flags_accents_and_escapes_are_whole_characters() -> None:
    text = "🇫🇷🇩🇪e\u0301\\*x"
    assert [n for n in range(1, len(text)) if is_between_graphemes(text, n)] == [2, 4, 6, 8]


def test_a_single_line_of_code_that_is_too_long_is_cut_between_words() -> None:
    cut = parts("```\n" + "abc def " * 10 + "\n```", 30)
    assert words("\n".join(cut)) == ["abc", "def"] * 10
    assert all(part.count("```") == 2 for part in cut)


def test_what_renders_longer_is_cut_earlier() -> None:
    cut = Layout(escaped, 40).parts("a < b && c > d " * 10)
    assert all(len(part) <= 40 for part in cut)
    assert words(html.unescape(" ".join(cut))) == words("a < b && c > d " * 10)


def test_earlier_parts_stay_as_they_are_while_the_text_grows() -> None:
    layout, text = Layout(plain, 50), ""
    seen: dict[int, str] = {}
    for word in ("Some words of **a long** reply. " * 20).split(" "):
        text += word + " "
        shown = layout.parts(text)
        for number, part in enumerate(shown[:-1]):
            assert seen.setdefault(number, part) == part
    assert len(seen) > 10


def test_a_text_that_changed_before_a_cut_is_cut_anew() -> None:
    layout = Layout(plain, 20)
    layout.parts("One two three four five six seven")
    assert layout.parts("Zwei drei") == ["Zwei drei"]


def test_a_part_that_was_refused_is_cut_at_half_its_size() -> None:
    layout = Layout(plain, 40)
    text = "word " * 20
    layout.shrink(0, len(layout.parts(text)[0]))
    cut = layout.parts(text)
    assert len(cut[0]) <= 20 < len(cut[1])
    assert words(" ".join(cut)) == ["word"] * 20


def test_a_megabyte_of_hostile_text_is_laid_out_in_time() -> None:
    for text in ("[" * 100_000, "`" * 99_999, "(" * 100_000, "](" * 50_000, "** " * 30_000):
        began = perf_counter()
        assert Layout(plain, 4000).parts(text)
        assert perf_counter() - began < 20


PIECES = st.sampled_from(
    [
        "word",
        "longer words here",
        "\n",
        "\n\n",
        " ",
        "```python\n",
        "\n```\n",
        "~~~\n",
        "\n~~~\n",
        "`code span`",
        "`",
        "[",
        "](",
        "[text of link](http://example.org)",
        "**strong**",
        "- item\n",
        "| a | b |\n",
        "http://example.org/path",
        "e\u0301",
        "&<>",
        "\\",
        "👩‍👧",
        "    ```\n",
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


@given(TEXTS, st.integers(60, 200))
def test_no_word_is_lost_and_every_part_fits(text: str, max_size: int) -> None:
    cut = [html.unescape(part) for part in Layout(escaped, max_size).parts(text)]
    assert all(len(escaped(part)) <= max_size for part in cut)
    assert "".join(words("\n".join(cut))) == "".join(words(text))


@given(TEXTS, st.integers(60, 200))
def test_every_part_has_balanced_fences(text: str, max_size: int) -> None:
    for part in Layout(plain, max_size).parts(text):
        assert open_fence(part) is None


@given(TEXTS, st.integers(60, 200))
def test_a_growing_text_ends_with_the_same_words_as_one_that_came_at_once(
    text: str, max_size: int
) -> None:
    layout = Layout(plain, max_size)
    for end in range(0, len(text), 7):
        assert all(open_fence(part) is None for part in layout.parts(text[:end]))
    grown = layout.parts(text)
    assert all(len(part) <= max_size for part in grown)
    assert "".join(words("\n".join(grown))) == "".join(words(text))


@given(st.text(max_size=300), st.integers(1, 40))
def test_any_text_at_all_can_be_laid_out(text: str, max_size: int) -> None:
    letters = re.sub(r"[\s`~]", "", text)
    kept = re.sub(r"[\s`~]", "", "".join(parts(text, max_size)))
    assert len(kept) >= len(letters) or "```" in text or "~~~" in text


@given(TEXTS)
def test_a_completed_text_has_no_open_fence(text: str) -> None:
    assert open_fence(complete(text)) is None


@given(st.text(alphabet="[]()`*\\ \n<>http:/ab", max_size=200))
def test_stretches_are_ordered_and_do_not_overlap(text: str) -> None:
    spans = unbreakable(text)
    assert all(start < end <= len(text) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
