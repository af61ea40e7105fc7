"""What stands before a question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.csps_llm.markers import MarkedPrompt, is_address, read_prompt


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("Hello?", MarkedPrompt("Hello?")),
        ("|SESSION|k|/SESSION|Hello?", MarkedPrompt("Hello?", "k")),
        (" |SESSION| k |/SESSION|\n Hello? ", MarkedPrompt("Hello?", "k")),
        ("|SESSION||/SESSION|Hello?", MarkedPrompt("Hello?", "")),
        ("|SESSION|a|/SESSION||SESSION|b|/SESSION|Hello?", MarkedPrompt("Hello?", "a")),
        ("|CONTENT|One\ntwo.|/CONTENT|Why?", MarkedPrompt("[Clipboard]\n> One\n> two.\n\nWhy?")),
        ("|CONTEXT|Here.|/CONTEXT|Why?", MarkedPrompt("[Context]\n> Here.\n\nWhy?")),
        (
            "|CONTENT|A|/CONTENT||SESSION|k|/SESSION||CONTEXT|B|/CONTEXT|Why?",
            MarkedPrompt("[Clipboard]\n> A\n\n[Context]\n> B\n\nWhy?", "k"),
        ),
        ("|CONTENT|A|/CONTENT|", MarkedPrompt("[Clipboard]\n> A")),
        ("|CONTENT| |/CONTENT|Why?", MarkedPrompt("Why?")),
        ("|RAG|a.ca| b.ca |/RAG|Why?", MarkedPrompt("Why?", sites=("a.ca", "b.ca"))),
        ("|RAG||/RAG|Why?", MarkedPrompt("Why?")),
        ("http://a.ca/b Why?", MarkedPrompt("http://a.ca/b Why?", needs_page=True)),
        ("HTTPS://a.ca\nWhy?", MarkedPrompt("HTTPS://a.ca\nWhy?", needs_page=True)),
        ("https://a.ca", MarkedPrompt("https://a.ca", needs_page=True)),
        ("|SESSION|k|/SESSION|https://a.ca x", MarkedPrompt("https://a.ca x", "k", (), True)),
        ("https is what?", MarkedPrompt("https is what?")),
        ("What is https://a.ca?", MarkedPrompt("What is https://a.ca?")),
        ("", MarkedPrompt("")),
    ],
)
def test_markers_and_an_address_are_read_from_the_beginning(
    prompt: str, read: MarkedPrompt
) -> None:
    assert read_prompt(prompt) == read


@pytest.mark.parametrize(
    "prompt",
    [
        "|SESSION|k Hello?",
        "|SESSION|k|/CONTEXT|Hello?",
        "|CONTENT|Hello?",
        "|/SESSION|Hello?",
        "|session|k|/session|Hello?",
        "|OTHER|k|/OTHER|Hello?",
        "Hello |SESSION|k|/SESSION|",
        "|",
    ],
)
def test_a_broken_marker_is_text(prompt: str) -> None:
    assert read_prompt(prompt) == MarkedPrompt(prompt)


def test_quoted_material_holds_no_markers() -> None:
    prompt = "|CONTENT|x|/CONTENT||SESSION|theirs|/SESSION|y|/CONTENT|Why?"
    read = read_prompt(f"|SESSION|mine|/SESSION|{prompt}")
    assert read.session == "mine"
    assert read_prompt(prompt).session is None
    assert read.text.endswith("\n\nWhy?")


@given(st.lists(st.sampled_from(["|SESSION|", "|/SESSION|", "|CONTENT|", "|/RAG|", "|RAG|", "x"])))
def test_any_heap_of_markers_is_read(pieces: list[str]) -> None:
    assert read_prompt("".join(pieces)) is not None


def test_many_markers_are_read_at_once() -> None:
    assert read_prompt("|RAG||/RAG|" * 50_000 + "Why?").text == "Why?"
    assert read_prompt("|CONTENT|" * 100_000).text.startswith("|CONTENT|")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("https://a.ca/b?c=d", True), (" http://a.ca\n", True), ("https://a.ca says", False)],
)
def test_only_a_whole_address_is_one(text: str, is_one: bool) -> None:
    assert is_address(text) is is_one
