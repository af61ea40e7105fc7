"""Documents become passages that are spans of them, with the headings above."""

from __future__ import annotations

import random

import pytest

from bot.facts.passages import Form, passages_of
from bot.facts.words import num_words

SENTENCE = "The ferry to the island leaves every hour from the old pier. "
MANUAL = f"""\
# Ferry

{SENTENCE}

## Fares

### Children

Up to six years nothing is paid.

### Dogs

A dog pays half.

Timetable
---------

{SENTENCE * 30}

```
# no heading
```

## Closed
"""


def test_short_sections_go_together_below_their_common_heading() -> None:
    first, *_ = passages_of(MANUAL, Form.MARKDOWN)
    assert first.heading == ("Ferry",)
    assert first.text.startswith("# Ferry")
    assert first.text.endswith("### Dogs\n\nA dog pays half.")


def test_a_long_section_is_cut_where_sentences_end() -> None:
    parts = [e for e in passages_of(MANUAL, Form.MARKDOWN) if e.heading[-1:] == ("Timetable",)]
    assert [each.heading for each in parts] == [("Ferry", "Timetable")] * len(parts)
    assert len(parts) >= 2
    for each in parts[:-1]:
        assert each.text.rstrip().endswith("old pier.")
        assert 100 <= num_words(each.text) <= 220
    assert parts[-1].text.endswith("```\n# no heading\n```")


def test_a_heading_below_which_nothing_stands_is_a_passage() -> None:
    assert passages_of(MANUAL, Form.MARKDOWN)[-1].text == "## Closed"


def test_a_line_that_is_too_long_for_a_heading_is_text() -> None:
    found = passages_of(f"# Ferry\n\n## {SENTENCE * 40}\n\nIt is late.\n", Form.MARKDOWN)
    assert {each.heading for each in found} == {("Ferry",)}
    assert all(num_words(each.text) <= 220 for each in found)


def test_an_abbreviation_ends_no_sentence() -> None:
    text = ("Nach Abs. 2 Nr. 3 gilt z. B. Dr. Weber als Arzt. " * 60).strip()
    passages = passages_of(text, Form.PLAIN)
    assert len(passages) > 2
    assert all(each.text.strip().endswith("Arzt.") for each in passages)


def test_rows_have_the_head_of_their_table_above_them() -> None:
    rows = [f'{number},"a line\nand another",{number * 2}' for number in range(200)]
    passages = passages_of("\n".join(["no,what,twice", *rows]), Form.TABLE)
    assert len(passages) > 2
    assert {each.heading for each in passages} == {("no,what,twice",)}
    assert "\n".join(each.text for each in passages) == "\n".join(rows)
    table = "| no | what |\n|---|---|\n" + "".join(f"| {n} | some words |\n" for n in range(200))
    first, *others = passages_of(table, Form.MARKDOWN)
    assert first.heading == ()
    assert {each.heading for each in others} == {("no | what",)}


def test_lines_of_a_text_that_look_like_headings_are_none() -> None:
    (only,) = passages_of("# a comment\nvalue = 1\n", Form.PLAIN)
    assert (only.text, only.heading) == ("# a comment\nvalue = 1", ())


@pytest.mark.parametrize("form", list(Form))
def test_whatever_stands_in_a_document_its_passages_are_spans_and_nothing_is_lost(
    form: Form,
) -> None:
    pieces = [
        "# ",
        "## ",
        "\n",
        "\n\n",
        "---\n",
        "```\n",
        "| a | b |\n",
        "|---|---|\n",
        '"',
        ",",
        "- ",
    ]
    pieces += ["Word ", "ends. ", "这是一个句子。", "x" * 500, "Dr. ", "===\n", SENTENCE * 8, "\r"]
    for seed in range(300):
        chance = random.Random(seed)  # noqa: S311 - nothing secret
        text = "".join(chance.choices(pieces, k=chance.randint(1, 60)))
        passages = passages_of(text, form)
        for each in passages:
            assert each.text in text
            assert num_words(each.text) <= 450
        kept = "".join("".join(each.text.split()) for each in passages)
        kept += "".join("".join(heading.split()) for each in passages for heading in each.heading)
        missing = [word for word in text.split() if word.isalpha() and word not in kept]
        assert missing == [], (seed, text)
