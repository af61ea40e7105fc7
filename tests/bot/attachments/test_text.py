"""The text of files below what a person wrote: told apart, and named."""

from __future__ import annotations

import pytest

from bot.attachments.text import said_in, sources_in, with_file, with_said
from bot.types import Source


def test_what_was_written_and_what_was_attached_are_told_apart() -> None:
    text = with_file(
        with_file("Sum up.", "a.txt", "one\n\ntwo", is_cut=False), "b]c.md", "x", is_cut=True
    )
    assert said_in(text) == "Sum up."
    assert sources_in(text) == (Source("a.txt", "one\n\ntwo"), Source("b)c.md", "x"))
    assert sources_in(with_said(text, "Sum it up.")) == sources_in(text)


def test_a_file_without_a_word_from_its_sender_is_a_source_too() -> None:
    text = with_file("", "a.txt", "one", is_cut=False).strip()
    assert sources_in(text) == (Source("a.txt", "one"),)


@pytest.mark.parametrize("text", ["", "How are you?", "[Attached file", "see\n\n[Attached file: x"])
def test_what_brings_no_text_is_no_source(text: str) -> None:
    assert sources_in(text) == ()


def test_a_file_for_which_no_room_was_left_is_no_source() -> None:
    assert sources_in(with_file("Read.", "late.txt", "", is_cut=True)) == ()
