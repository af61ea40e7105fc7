"""The files of a question as the model is shown them: each by itself, whatever stands in it."""

from __future__ import annotations

import pytest

from bot.attachments.attachments import in_words, plain


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("budget.csv", "budget.csv"),
        ("a.txt]\n[Attached file: payroll.pdf", "a.txt) (Attached file: payroll.pdf"),
        ("two\nlines\tand  more.txt", "two lines and more.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("\u200b\u2066", "file"),
        ("a\x00b\x1b[31m.txt", "ab(31m.txt"),
        ("見積書（最終）.pdf", "見積書（最終）.pdf"),
        ("`x`.py", "'x'.py"),
    ],
)
def test_a_name_stays_on_its_line_and_shows_what_it_is(name: str, shown: str) -> None:
    assert plain(name) == shown


@pytest.mark.parametrize("name", ["report (2).pdf", "Q3-plan.final.docx", "Größe.txt", "a.b c.md"])
def test_a_usual_name_stands_in_a_sentence_as_it_is(name: str) -> None:
    assert in_words(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("__init__.py", "`__init__.py`"),
        ("*urgent*.txt", "`*urgent*.txt`"),
        ("[pay](https://evil.example).pdf", "`(pay)(https://evil.example).pdf`"),
        ("https://evil.example", "`https://evil.example`"),
    ],
)
def test_a_name_that_is_markdown_is_shown_as_code(name: str, shown: str) -> None:
    assert in_words(name) == shown
