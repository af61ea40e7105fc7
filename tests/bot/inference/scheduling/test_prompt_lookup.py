"""What is proposed for a reply stood in its thread before, after the same tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.generation import Sampling
from bot.inference.core.sequence import Sequence
from bot.inference.scheduling.prompt_lookup import PromptLookup


def sequence(text: str) -> Sequence:
    return Sequence(1, "ada", [*map(ord, text)], 1_000, Sampling())


def proposed(lookup: PromptLookup, reply: Sequence, max_tokens: int = 8) -> str:
    return "".join(map(chr, lookup.propose(reply, max_tokens)))


def after(*texts: str, max_tokens: int = 8) -> str:
    """What is proposed after the last text, where each came in a step of its own."""
    lookup, reply = PromptLookup(), sequence("")
    for text in texts:
        reply.tokens += map(ord, text)
        found = proposed(lookup, reply, max_tokens)
    return found


def test_what_followed_the_same_words_is_proposed() -> None:
    assert after("the capital of France is Paris. the capital of") == " France "
    assert after("the capital of France is Paris. ", "the capital of") == " France "


def test_nothing_is_proposed_after_less_than_four_tokens_that_are_the_same() -> None:
    assert after("a cab and a c") == ""
    assert after("a cab and a ca") == "b and a "
    assert after("") == after("abc") == after("abcd") == ""


def test_the_latest_place_counts_until_an_earlier_one_goes_on() -> None:
    text = "tell one. tell two. "
    assert after(text, "tell ") == "two. tel"
    assert after(" tell one. ", "- tell two; ", "/ tell ") == "two; / t"
    assert after(text, "tell ", "o") == "ne. tell"
    assert after(text, "tell ", "two") == ". tell t"


def test_a_match_that_goes_on_is_not_left_for_a_newer_place() -> None:
    assert after("1 + abcd = x; 2 + abcd = y; ", "1 + ", "a", "b", "c", "d = ") == "x; 2 + a"


def test_no_more_is_proposed_than_there_is_or_was_asked_for() -> None:
    assert after("abcdefgh abcd", max_tokens=2) == "ef"
    assert after("abcdabcd") == "abcd"


def test_what_has_ended_is_forgotten() -> None:
    lookup, first = PromptLookup(), sequence("abcdefgh abcd")
    assert proposed(lookup, first) == "efgh abc"
    lookup.forget(first)
    lookup.forget(first)
    assert proposed(lookup, sequence("xyz")) == ""


@given(st.lists(st.text("ab", min_size=1, max_size=30), min_size=1, max_size=20))
def test_every_proposal_stood_after_the_same_tokens_and_none_is_missed(texts: list[str]) -> None:
    lookup, reply, text = PromptLookup(), sequence(""), ""
    for more in texts:
        reply.tokens += map(ord, more)
        text += more
        found, last = proposed(lookup, reply), text[-4:]
        stood_at = [n for n in range(4, len(text)) if text[n - 4 : n] == last]
        assert bool(found) == bool(stood_at)
        assert not found or any(text[n : n + 8] == found for n in stood_at)
