"""The repetition guard on made-up letters and on replies of the real model."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.generation import ChatMessage
from bot.inference.llama.model import LlamaModel
from bot.inference.output.repetition_guard import RepetitionGuard
from tests.bot.inference.replies.made import MADE

RECORDED = Path(__file__).parents[1] / "replies" / "recorded.jsonl"
MAX_LATE, USUAL_LATE = 340, 150
"""Tokens from where a reply begins to loop to where it is ended: at most, and the median."""


@dataclass(frozen=True, slots=True)
class Reply:
    prompt: str
    label: str
    loops_at: int
    tokens: list[int]


def recorded() -> list[Reply]:
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [Reply(r["prompt"], r["label"], r["loops_at"] or 0, r["tokens"]) for r in found]


def letter(token: int) -> bytes:
    return chr(token).encode()


def ended_at(guard: RepetitionGuard, tokens: Iterable[int]) -> int | None:
    """The number of tokens after which the guard found a loop."""
    return next((n for n, token in enumerate(tokens, 1) if guard.add(token)), None)


def ending(text: str) -> str | None:
    """``text``, a letter a token, without its repeated end; None if it is not a loop."""
    guard = RepetitionGuard(letter)
    end = ended_at(guard, map(ord, text))
    return None if end is None else text[: end - guard.num_repeated]


def test_a_sentence_repeated_again_and_again_is_a_loop_and_kept_once() -> None:
    assert ending("Hello. " + "I am fine. " * 50) == "Hello. I am fine"


def test_one_letter_for_ever_is_a_loop() -> None:
    assert ending("Aaa" + "h" * 200) == "Aaah"


def test_a_loop_that_begins_with_a_stutter_is_found_all_the_same() -> None:
    assert ending("abcabcx" * 60) == "abcabcx"


def test_a_list_of_one_item_is_a_loop_whatever_its_counter() -> None:
    numbered = "".join(f"{n}. Fish\n" for n in range(1, 60))
    assert ending(f"Animals:\n{numbered}") == "Animals:\n1. Fish"


def test_a_list_of_two_items_in_turn_is_a_loop() -> None:
    numbered = "".join(f"{n}. {'Fish' if n % 2 else 'Bird'}\n" for n in range(1, 60))
    assert ending(numbered) == "1. Fish\n2. Bird\n"


def test_phrases_in_changing_order_are_a_loop_of_which_nothing_is_cut_off() -> None:
    lines = ("a poem that never ends,\n", "a tale of endless love,\n")
    text = "".join(lines[n * n % 7 % 2] for n in range(60))
    kept = ending(text)
    assert kept is not None
    assert 256 < len(kept) < len(text)


@pytest.mark.parametrize(
    "text",
    [
        ", ".join(map(str, range(1, 301))),
        "".join(f"{n} squared is {n * n}.\n" for n in range(1, 99)),
        "".join(f"{n} is even.\n" for n in range(2, 200, 2)),
        "".join(f'{{"id": {n}, "done": false}}, ' for n in range(99)),
        "| | | | |\n" * 20,
        "word " * 15,
    ],
)
def test_counting_numbers_that_tell_something_and_empty_rows_are_no_loop(text: str) -> None:
    assert ending(text) is None


def test_empty_rows_without_end_are_a_loop() -> None:
    assert ending("| | | | |\n" * 100) is not None


def test_a_repetition_that_is_broken_begins_to_count_anew() -> None:
    assert ending("I am fine. " * 7 + "No! " + "I am fine. " * 7 + "Yes.") is None


class Noted(int):
    """A token that counts how often it is looked up or compared."""

    num_uses = 0

    def __hash__(self) -> int:
        Noted.num_uses += 1
        return int.__hash__(self)

    def __eq__(self, other: object) -> bool:
        Noted.num_uses += 1
        return int.__eq__(self, other)


def test_a_repetition_that_a_format_forces_is_no_loop() -> None:
    guard = RepetitionGuard(letter)
    assert not any(guard.add(ord(c), is_forced=True) for c in "ab " * 400)
    assert guard.num_repeated == 0


def test_a_repetition_in_which_some_tokens_are_chosen_is_a_loop() -> None:
    guard = RepetitionGuard(letter)
    assert any(guard.add(ord(c), is_forced=c != "b") for c in "ab " * 400)


@pytest.mark.parametrize(
    "text", ["".join(map(str, range(5_000))), ("| " * 40 + "\n") * 6, "ab" * 40]
)
def test_a_token_costs_the_same_however_long_the_reply_is(text: str) -> None:
    tokens = [Noted(ord(c)) for c in text] * 2
    guard, uses = RepetitionGuard(letter), []
    for token in tokens:
        before = Noted.num_uses
        if guard.add(token):
            break
        uses.append(Noted.num_uses - before)
    half = len(uses) // 2
    assert statistics.mean(uses) < 100
    assert statistics.mean(uses[half:]) < 1.2 * statistics.mean(uses[:half]) + 1


def tokenized(model: LlamaModel, text: str) -> list[int]:
    """The tokens of the text in an earlier answer, up to the end of the prompt."""
    tokens = model.encode([ChatMessage("user", "?"), ChatMessage("assistant", text)])
    return tokens[len(model.encode([ChatMessage("user", "?")])) :]


@pytest.mark.model
@pytest.mark.parametrize("text", MADE.values(), ids=MADE)
def test_an_honest_reply_is_never_ended(smollm2: LlamaModel, text: str) -> None:
    assert ended_at(RepetitionGuard(smollm2.piece), tokenized(smollm2, text)) is None


@pytest.mark.model
def test_of_the_real_replies_every_loop_is_ended_soon_and_no_other(smollm2: LlamaModel) -> None:
    """Precision 1 and recall 1; replies that only drift may or may not be ended."""
    late: list[int] = []
    for reply in recorded():
        end = ended_at(RepetitionGuard(smollm2.piece), reply.tokens)
        if reply.label == "honest":
            assert end is None, f"{reply.prompt!r} was ended after {end} tokens"
        elif reply.label == "loop":
            assert end is not None, f"{reply.prompt!r} looped to its end"
            late.append(end - reply.loops_at)
    assert min(late) > 0
    assert max(late) <= MAX_LATE
    assert statistics.median(late) <= USUAL_LATE


def test_the_real_replies_are_enough_of_each_kind() -> None:
    labels = [reply.label for reply in recorded()]
    assert labels.count("loop") >= 20
    assert labels.count("honest") >= 30
