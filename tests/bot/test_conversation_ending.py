"""The last words of a reply."""

from __future__ import annotations

import pytest

from bot.generation import Finished, FinishReason
from bot.stored import TurnState
from bot.turns.display import ending_of, in_line
from bot.turns.reactions import means_stop


def test_a_note_stands_outside_of_a_code_block_left_open() -> None:
    ending = ending_of("```python\nx = 1", Finished(FinishReason.CANCELLED), stopped=True)
    assert ending.shown == "```python\nx = 1\n```\n\n_(stopped)_"
    assert ending.reply == "```python\nx = 1"


@pytest.mark.parametrize("text", ["```x` = 1", "one\u2028```two"])
def test_what_only_looks_like_a_code_block_is_not_closed(text: str) -> None:
    ending = ending_of(text, Finished(FinishReason.CANCELLED), stopped=True)
    assert ending.shown == f"{text}\n\n_(stopped)_"


def test_a_code_block_that_was_closed_is_not_opened_again() -> None:
    ending = ending_of("```\nx\n```\nDone", Finished(FinishReason.LENGTH), stopped=False)
    assert ending.shown.startswith("```\nx\n```\nDone\n\n_(")


def test_a_reply_without_a_word_offers_retry() -> None:
    ending = ending_of(" \n", Finished(FinishReason.STOP), stopped=False)
    assert (ending.state, ending.reply) == (TurnState.FAILED, "")
    assert "retry" in ending.shown


@pytest.mark.parametrize(
    ("said", "repeated", "kept"),
    [
        ("Well. I am fine", ". I am fine. I am", "Well. I am fine."),
        ("1. Fish", "\n2. Fish\n3. Fish", "1. Fish"),
        ("Ha", "hahahaha", "Ha"),
        ("I like", ' it.) "Yes!" I like', "I like it.)"),
    ],
)
def test_what_a_looping_reply_only_repeats_is_taken_away(
    said: str, repeated: str, kept: str
) -> None:
    finished = Finished(FinishReason.LOOPED, num_repeated=len(repeated))
    ending = ending_of(said + repeated, finished, stopped=False)
    assert ending.shown == f"{kept}\n\n_(ended here, since the reply only repeated itself)_"
    assert ending.reply.rstrip() == kept


def test_a_cancellation_that_nobody_asked_for_is_no_stop() -> None:
    ending = ending_of("I am", Finished(FinishReason.CANCELLED), stopped=False)
    assert ending.state is TurnState.FAILED


@pytest.mark.parametrize(
    ("place", "wait", "text"),
    [
        (1, None, "You are next in line…"),
        (2, 3.2, "You are 2nd in line, about 3 s…"),
        (3, 18.0, "You are 3rd in line, about 20 s…"),
        (11, 100.0, "You are 11th in line, about 2 min…"),
        (22, 0.0, "You are 22nd in line, about 1 s…"),
    ],
)
def test_a_place_in_line_in_words(place: int, wait: float | None, text: str) -> None:
    assert in_line(place, wait) == text


@pytest.mark.parametrize(
    ("reaction", "setting", "stops"),
    [
        ("octagonal_sign", "octagonal_sign", True),
        (":octagonal_sign:", "octagonal_sign", True),
        ("raised_hand::skin-tone-5", "raised_hand", True),
        ("✋🏽", "✋", True),
        ("⏹", "⏹️", True),
        ("Nonstop", "*stop*", True),
        ("stop_sign", "stop", False),
        ("heart", "*stop*", False),
    ],
)
def test_which_reactions_mean_stop(reaction: str, setting: str, stops: bool) -> None:
    assert means_stop(reaction, [setting]) is stops
