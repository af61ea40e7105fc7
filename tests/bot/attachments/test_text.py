"""The text of files below what a person wrote: named."""

from __future__ import annotations

import pytest

from bot.attachments.attachments import sources_in, with_file
from bot.types import Source


def test_each_file_is_a_source_with_what_was_read_of_it() -> None:
    text = with_file("", "a.txt", "one\n\ntwo", is_cut=False)
    text = with_file(text, "b]c.md", "x", is_cut=True)
    assert sources_in(text) == (Source("a.txt", "one\n\ntwo"), Source("b)c.md", "x"))


def test_a_file_without_a_word_from_its_sender_is_a_source_too() -> None:
    text = with_file("", "a.txt", "one", is_cut=False)
    assert sources_in(text) == (Source("a.txt", "one"),)


@pytest.mark.parametrize("text", ["", "How are you?", "[Attached file", "see\n\n[Attached file: x"])
def test_what_brings_no_text_is_no_source(text: str) -> None:
    assert sources_in(text) == ()


def test_a_file_for_which_no_room_was_left_is_no_source() -> None:
    assert sources_in(with_file("Read.", "late.txt", "", is_cut=True)) == ()
