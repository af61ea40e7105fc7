"""Every answer of the corpus looks as it did when somebody last looked at it."""

from __future__ import annotations

import pytest

from tests.corpus.rendered import FOLDER, PAGE, PLATFORMS, languages, messages_of


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("platform", [*PLATFORMS, PAGE])
def test_an_answer_is_shown_as_it_was_last_looked_at(platform: str, language: str) -> None:
    kept = (FOLDER / platform / f"{language}.txt").read_text("utf-8")
    assert messages_of(platform, language) == kept, (
        "What people see has changed: write it with `python -m tests.corpus`, and look at the "
        "difference."
    )
