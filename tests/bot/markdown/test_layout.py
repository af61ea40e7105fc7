"""A text in several messages reads like the whole: nothing lost, every part well-formed."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.markdown.drawing import Drawing
from bot.markdown.graphemes import is_between_graphemes
from bot.markdown.growing import GrowingTree
from bot.markdown.layout import Layout
from bot.markdown.parser import parse
from bot.markdown.tree import Block
from tests.fakes.drawing import FakeDrawing


class Counting(FakeDrawing):
    """``num_drawn``: blocks drawn so far."""

    num_drawn = 0

    def block(self, block: Block) -> str:
        self.num_drawn += 1
        return super().block(block)


def layout(max_size: int) -> Layout:
    return Layout(FakeDrawing(), max_size)


def parts(markdown: str, max_size: int) -> list[str]:
    return [html.unescape(part) for part in layout(max_size).parts(markdown)]


def words(text: str) -> list[str]:
    """All words; marks of any kind, which parts repeat, are none."""
    return re.findall(r"[^\W_]+", text)


def test_a_text_that_fits_is_one_part_as_it_is() -> None:
    assert parts("Hello **you**.", 100) == ["Hello **you**."]


def test_nothing_but_space_is_no_part() -> None:
    assert parts(" \n\n ", 100) == []


def test_a_cut_prefers_the_end_of_a_paragraph_to_the_last_word_that_fits() -> None:
    text = "One two three four five.\n\nSix seven eight nine ten eleven."
    assert parts(text, 36) == ["One two three four five.", "Six seven eight nine ten eleven."]


def test_a_cut_far_behind_what_fits_is_not_preferred() -> None:
    assert parts("One.\n\nTwo three four five six.", 24) == ["One.\n\nTwo three four", "five six."]


def test_a_cut_prefers_the_end_of_a_sentence() -> None:
    text = "One two three four. Five six seven eight nine."
    assert parts(text, 26) == ["One two three four.", "Five six seven eight nine."]


def test_a_cut_inside_a_code_fence_closes_it_and_opens_it_again_with_the_same_language() -> None:
    code = "\n".join(f"print({n})" for n in range(10))
    cut = parts(f"Look:\n```python\n{code}\n```\nDone.", 60)
    assert cut[0].startswith("Look:\n```python\nprint(0)")
    assert all(part.endswith("\n```") for part in cut[:-1])
    assert all(part.startswith("```python\nprint(") for part in cut[1:])
    assert cut[-1].endswith("print(9)\n```\nDone.")


def test_marks_that_are_open_at_a_cut_are_closed_and_opened_again() -> None:
    cut = parts("**" + "Read this sentence now. " * 20 + "_And this._**", 100)
    assert len(cut) > 4
    assert all(part.startswith("**") and part.endswith("**") for part in cut)
    assert cut[-1].endswith("_And this._**")


def test_a_quote_that_is_cut_is_a_quote_in_every_part() -> None:
    cut = parts("> " + "Some words in a quote. " * 30 + "\n>\n> - an item\n> - another", 120)
    assert len(cut) > 4
    assert all(line.startswith(">") for part in cut for line in part.split("\n"))


def test_a_fence_in_a_quote_is_cut_as_one_in_a_quote() -> None:
    code = "\n".join(f"> line {n}" for n in range(30))
    for part in parts(f"> ```py\n{code}\n> ```", 100):
        assert part.startswith("> ```py\n> line")
        assert part.endswith("\n> ```")


def test_each_part_of_a_long_table_has_its_head() -> None:
    rows = "\n".join(f"| name {n} | {n} |" for n in range(30))
    cut = parts(f"| who | how many |\n|---|---|\n{rows}\nDone.", 150)
    assert len(cut) > 3
    assert all(part.startswith("```\nwho ") for part in cut)
    assert words("".join(cut)).count("name") == 30


def test_a_row_that_is_longer_than_a_message_is_cut_as_code() -> None:
    cut = parts("| a | b |\n|---|---|\n| " + "word " * 30 + "| x |", 60)
    assert all(part.startswith("```\n") and part.endswith("\n```") for part in cut)
    assert words("".join(cut)).count("word") == 30


def test_no_heading_is_left_alone_at_the_end_of_a_part() -> None:
    cut = parts("Some words of a first part.\n\n## Next\n\nMore words of another part.", 48)
    assert cut == ["Some words of a first part.", "## Next\n\nMore words of another part."]


def test_a_nested_list_that_begins_a_part_keeps_its_level() -> None:
    text = "- one is here\n  - two is here\n  - three is here\n- four"
    assert parts(text, 32) == ["- one is here\n  - two is here", "  - three is here\n- four"]


def test_an_ordered_list_counts_on_in_the_next_part() -> None:
    cut = parts("\n".join(f"{n}. item number {n}" for n in range(1, 9)), 50)
    assert re.findall(r"^(\d)\. item number \1$", "\n".join(cut), re.M) == list("12345678")


@pytest.mark.parametrize(
    "whole",
    [
        "[the guide of the house](https://example.org/guide_(new))",
        "`a piece of code with spaces`",
        "``a ` piece of code``",
        "https://example.org/a/very/long/path?query=1",
    ],
)
def test_what_belongs_together_is_never_torn(whole: str) -> None:
    for width in range(len(whole) + 1, len(whole) + 30):
        cut = parts(f"Some words before it {whole} and some words after it.", width)
        assert any(whole in part for part in cut), cut


def test_a_long_single_word_is_cut_where_no_character_breaks() -> None:
    family = "👩‍👩‍👧‍👦"
    cut = parts(family * 10, 16)
    assert "".join(cut) == family * 10
    assert all(part == family * (len(part) // len(family)) for part in cut)


def test_chinese_without_spaces_is_cut_behind_a_sentence() -> None:
    cut = parts("这是一个很长的句子。" * 20, 45)
    assert all(part.endswith("。") for part in cut)


def test_flags_and_accents_are_whole_characters() -> None:
    text = "🇫🇷🇩🇪e\u0301x"
    assert [n for n in range(1, len(text)) if is_between_graphemes(text, n)] == [2, 4, 6]


def test_a_code_span_longer_than_a_message_is_code_in_every_part() -> None:
    cut = parts("See `" + "abcdefgh" * 10 + "`.", 30)
    assert "".join(cut).replace("`", "").replace("See", "").strip(" .") == "abcdefgh" * 10
    assert all(re.fullmatch(r"See|`[a-h]+`\.?", part) for part in cut)


def test_what_renders_longer_is_cut_earlier() -> None:
    cut = layout(40).parts("a < b && c > d " * 10)
    assert all(len(part) <= 40 for part in cut)
    assert words(html.unescape(" ".join(cut))) == words("a < b && c > d " * 10)


def test_earlier_parts_stay_as_they_are_while_the_text_grows() -> None:
    growing, text = layout(50), ""
    seen: dict[int, str] = {}
    for word in ("Some words of **a long** reply. " * 20).split(" "):
        text += word + " "
        shown = growing.parts(text)
        for number, part in enumerate(shown[:-1]):
            assert seen.setdefault(number, part) == part
    assert len(seen) > 10


def test_a_text_that_changed_before_a_cut_is_cut_anew() -> None:
    growing = layout(20)
    growing.parts("One two three four five six seven")
    assert growing.parts("Zwei drei") == ["Zwei drei"]


def test_a_part_that_was_refused_is_cut_at_half_its_size() -> None:
    growing = layout(40)
    text = "word " * 20
    growing.shrink(0, len(growing.parts(text)[0]))
    cut = growing.parts(text)
    assert len(cut[0]) <= 20 < len(cut[1])
    assert words(" ".join(cut)) == ["word"] * 20


@pytest.mark.parametrize(
    ("begun", "shown"),
    [
        ("Look:\n```python", "Look:"),
        ("Look:\n```python\nx", "Look:\n```python\nx\n```"),
        ("Look:\n```python\nx\n``", "Look:\n```python\nx\n```"),
        ("This is **very impor", "This is **very impor**"),
        ("- an item **in bo", "- an item **in bo**"),
        ("It is ~~go", "It is ~~go~~"),
        ("Call `print(*a", "Call `print(*a`"),
        ("See [the guide](https://exa", "See the guide"),
        ("2 * 3 ", "2 * 3"),
        ("a **b** c", "a **b** c"),
    ],
)
def test_what_is_open_at_the_end_of_a_growing_text_is_shown_closed(begun: str, shown: str) -> None:
    assert layout(100).parts(begun, is_growing=True) == [shown]


class WithoutHalves(FakeDrawing):
    shows_halves = False


@pytest.mark.parametrize(
    ("begun", "shown"),
    [
        ("See [the guide](https://exa", ["See"]),
        ("See **[the guide](https://exa", ["See"]),
        ("**All** of ![a map](", ["**All** of"]),
        ("[the guide](https://exa", []),
        ("```\nf[0](x", ["```\nf[0](x\n```"]),
        ("So \\(x^", ["So"]),
        ("So \\(x\\) and \\(y", ["So x and"]),
        ("The signs `\\(` and", ["The signs `\\(` and"]),
    ],
)
def test_where_no_word_may_change_later_half_a_link_or_formula_is_left_out(
    begun: str, shown: list[str]
) -> None:
    assert Layout(WithoutHalves(), 100).parts(begun, is_growing=True) == shown


def test_what_follows_a_table_that_has_grown_stands_below_an_empty_line() -> None:
    text = "| a |\n|---|\n| b |\n\nAfter it."
    growing = layout(100)
    for end in range(len(text)):
        growing.parts(text[:end], is_growing=True)
    assert growing.parts(text) == ["```\na\n-\nb\n```\n\nAfter it."]


def test_what_was_left_out_is_there_once_its_end_has_come() -> None:
    text = "| a |\n|---|\n| b |\n\n\\[\nx = y\n\\]\n\nSee \\(z\\) and [the guide](https://x.org)."
    growing = Layout(WithoutHalves(), 1_000)
    for end in range(len(text)):
        growing.parts(text[:end], is_growing=True)
    assert growing.parts(text) == Layout(WithoutHalves(), 1_000).parts(text)


def test_a_block_that_begins_joins_the_message_above_it() -> None:
    growing = layout(100)
    assert growing.parts("- one\n\n```\n", is_growing=True) == ["- one"]
    assert growing.parts("- one\n\n```\nx", is_growing=True) == ["- one\n\n```\nx\n```"]


def test_a_mark_that_was_never_closed_is_text_in_the_end() -> None:
    growing = layout(100)
    assert growing.parts("See *below", is_growing=True) == ["See _below_"]
    assert growing.parts("See *below") == ["See *below"]


def test_a_text_that_grows_by_twenty_draws_the_same_number_of_blocks_at_every_length() -> None:
    """The cost of a step is that of its last blocks, not of the text."""
    text = "".join(
        f"## Part {n}\n\nSome words of **it**.\n\n- one\n- two\n\n```py\nprint({n})\n```\n\n"
        for n in range(200)
    )
    drawing = Counting()
    growing = Layout(drawing, 2_000)
    drawn = []
    for end in range(0, len(text), 20):
        before = drawing.num_drawn
        growing.parts(text[:end], is_growing=True)
        drawn.append(drawing.num_drawn - before)
    early, late = drawn[50:250], drawn[-200:]
    assert sum(late) <= sum(early) * 1.5
    assert max(late) < 40


FRAGMENTS = st.sampled_from(
    [
        "word", "longer words here", "\n", "\n\n", " ", "```\n", "\n```\n", "~~~\n",
        "`code span`", "`", "[", "](", "[text of link](http://example.org)", "**strong**", "**",
        "*", "_em_", "~~gone~~", "- item\n", "  - nested\n", "3. third\n", "> quote\n", "# Title\n",
        "| a | b |\n", "|---|---|\n", "http://example.org/path", "e\u0301", "&<>", "\\", "👩‍👧",
        "    ```\n", "<br>", "<b>", "</b>", "$x^2$", "\\(", "\\)", "注意：", "---\n", "===\n",
    ]
)  # fmt: skip
TEXTS = st.lists(FRAGMENTS, max_size=60).map("".join)


def drawn_words(markdown: str, drawing: Drawing) -> list[str]:
    return words(html.unescape(drawing.blocks(parse(markdown))))


@given(TEXTS, st.integers(60, 200))
def test_no_word_is_lost_and_every_part_fits(text: str, max_size: int) -> None:
    cut = layout(max_size).parts(text)
    assert all(len(part) <= max_size for part in cut)
    kept = "".join(words(html.unescape("\n".join(cut))))
    for word in set(drawn_words(text, FakeDrawing())):
        assert word in kept


@given(TEXTS, st.integers(60, 200))
def test_a_growing_text_ends_with_the_same_words_in_parts_that_fit(
    text: str, max_size: int
) -> None:
    growing = layout(max_size)
    for end in range(0, len(text), 7):
        assert all(len(part) <= max_size for part in growing.parts(text[:end], is_growing=True))
    grown = growing.parts(text)
    assert all(len(part) <= max_size for part in grown)
    once = layout(max_size).parts(text)
    assert "".join(words("\n".join(grown))) == "".join(words("\n".join(once)))


@example("| a | b |\n|---|---|\n===\n3. third\n", 1)
@given(TEXTS, st.integers(1, 30))
def test_a_growing_text_has_the_tree_of_one_that_came_at_once(text: str, step: int) -> None:
    growing = GrowingTree()
    for end in range(0, len(text), step):
        growing.blocks(text[:end], is_growing=True)
    assert [*growing.blocks(text)] == [*GrowingTree().blocks(text)]


@given(st.text(max_size=300), st.integers(1, 40))
def test_any_text_at_all_can_be_laid_out(text: str, max_size: int) -> None:
    layout(max_size).parts(text)
