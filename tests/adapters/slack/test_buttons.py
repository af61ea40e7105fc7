"""Buttons under what Parley says: which stand where, and that Slack takes them all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.slack.interactions.buttons import (
    MAX_SECTION,
    personality_menu,
    thread_of,
    verb_of,
    when_ended,
    when_offering,
    while_growing,
)
from bot.types import Choice, Personality, ReplyEnd
from tests.fakes.slack_blocks import controls, problem_with

THREAD = "1700000000.000001"
TEXT = st.text(min_size=1, max_size=3 * MAX_SECTION).filter(str.strip)
WORDS = st.text(max_size=300) | st.sampled_from(["x" * 2001, "", " ", "ß" * 76])
CHOICES = st.lists(st.builds(Choice, WORDS, WORDS), max_size=130)
NAMES = st.from_regex(r"[a-z0-9-]{1,90}", fullmatch=True)
PERSONALITIES = st.lists(
    st.builds(Personality, NAMES, WORDS, st.just("p"), WORDS),
    max_size=260,
    unique_by=lambda p: p.name,
)


def test_a_growing_reply_can_be_stopped_and_nothing_else() -> None:
    assert controls(while_growing("Because", THREAD)) == ["Stop"]


def test_a_text_that_others_follow_has_no_button() -> None:
    assert controls(when_ended("Because.", THREAD, "t1", None)) == []


@pytest.mark.parametrize(
    ("can_continue", "shown"),
    [
        (False, ["Retry", "Personality…", "👍", "👎"]),
        (True, ["Continue", "Retry", "Personality…", "👍", "👎"]),
    ],
)
def test_the_end_of_a_reply_offers_what_can_be_done(can_continue: bool, shown: list[str]) -> None:
    end = ReplyEnd(can_continue=can_continue)
    assert controls(when_ended("So.", THREAD, "t1", end)) == shown


@given(TEXT)
def test_slack_takes_the_blocks_of_every_reply_and_they_say_all_of_it(text: str) -> None:
    for blocks in (
        while_growing(text, THREAD),
        when_ended(text, THREAD, "t1", None),
        when_ended(text, THREAD, "t" * 40, ReplyEnd(can_continue=True)),
    ):
        assert problem_with(blocks) == ""
        assert [block["text"]["text"] for block in blocks[:1]] == [text][: len(blocks)]
        assert bool(blocks) == (len(text) <= MAX_SECTION)


@example([Choice("", " ")] * 26)
@given(CHOICES)
def test_slack_takes_every_button_of_an_offer(choices: list[Choice]) -> None:
    blocks = when_offering("Choose.", THREAD, choices)
    assert problem_with(blocks) in ("", "msg_blocks_too_long")
    shown = [each for each in choices if each.title.strip() and 0 < len(each.says) <= 75]
    if len(choices) <= 25:
        assert len(controls(blocks)) >= len(shown)


@given(PERSONALITIES, st.integers(0, 300))
def test_slack_takes_every_page_of_the_menu(personalities: list[Personality], page: int) -> None:
    assert problem_with(personality_menu("Who?", THREAD, personalities, page)) == ""


@pytest.mark.parametrize("number", [0, 1, 25, 100, 101, 250])
def test_each_personality_is_on_one_page(number: int) -> None:
    names = [f"helper-{each:03}" for each in range(number)]
    everybody = [Personality(name, name.title(), "You help.", "d" * 70) for name in names]
    found: list[str] = []
    for page in range(20):
        shown = controls(personality_menu("Who?", THREAD, everybody, page))
        found += [title for title in shown if "Page" not in title]
        if f"Page {page + 2} ▶" not in shown:
            break
    assert found == [name.title() for name in names]


@given(st.text())
def test_what_is_not_parleys_means_nothing(text: str) -> None:
    assert verb_of(text) == "" or text.startswith("parley.")
    assert thread_of(text) is None or text.startswith("parley|")
