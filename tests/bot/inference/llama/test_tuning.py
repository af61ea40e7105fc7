"""Which options are chosen from what was measured; no model computes here."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace

import pytest

from bot.inference.llama.options import Attention, KVLayout, LlamaOptions
from bot.inference.llama.tuning import Figure, Tuning, TuningSpace, num_replies, race

FIGURE = Figure(
    *(Attention.PLAIN, KVLayout.STREAMS, 2), alone=4, together=16, begun_alone=6, begun_together=54
)


def winner(default: str, *rounds: dict[str, float]) -> tuple[str, Counter[str]]:
    """Of a race with these speeds by round, and how often each was measured."""
    measured = Counter[str]()
    chosen = race(
        list(rounds[0]),
        default,
        lambda name: measured.update([name]),
        lambda name: rounds[min(measured[name], len(rounds)) - 1][name],
    )
    return chosen, measured


def test_the_default_wins_unless_another_is_clearly_faster() -> None:
    assert winner("plain", {"flash": 101, "plain": 100})[0] == "plain"
    assert winner("plain", {"flash": 103, "plain": 100})[0] == "flash"


def test_what_beats_the_default_must_do_so_again() -> None:
    disturbed: dict[str, float] = {"flash": 100, "plain": 10, "other": 1}
    calm: dict[str, float] = {"flash": 100, "plain": 120, "other": 1}
    assert winner("plain", disturbed, calm) == ("plain", Counter(flash=2, plain=2, other=1))


def test_one_candidate_alone_is_not_measured() -> None:
    assert winner("plain", {"plain": 100}) == ("plain", Counter())


def test_a_speed_is_the_mean_of_one_reply_of_many_at_both_depths_and_of_a_prompt() -> None:
    assert FIGURE.speed == pytest.approx(12)
    assert replace(FIGURE, prefill=12_000).speed == pytest.approx(12 * 1_000**0.2)


def test_a_tuning_is_read_as_it_was_written_and_nothing_else_is() -> None:
    choice = {"attention": Attention.PLAIN, "kv_layout": KVLayout.STREAMS, "pass_cells": 900}
    figures = FIGURE, replace(FIGURE, prefill=5)
    tuning = Tuning(choice, figures, num_replies=8, depth=960, share=0.9)
    read = Tuning.parse(tuning.to_text())
    assert read == tuning
    assert isinstance(read.choice["attention"], Attention)
    cut, strange = tuning.to_text()[:-9], tuning.to_text().replace("plain", "linear")
    assert [Tuning.parse(text) for text in (cut, strange, "{}", '{"tuning": 3}', "")] == [None] * 5


def test_a_space_is_read_as_it_was_written() -> None:
    space = TuningSpace.only(LlamaOptions())
    assert not space.is_choice
    wider = replace(space, attention=tuple(Attention))
    assert wider.is_choice
    assert TuningSpace.of_json(json.loads(json.dumps(asdict(wider)))) == wider


@pytest.mark.parametrize(
    ("num_cells", "max_running", "num"),
    [(16_384, 16, 8), (16_384, 3, 3), (4_096, 16, 3), (1_280, 16, 1), (1_279, 16, 0)],
)
def test_as_many_replies_are_measured_as_the_pool_holds(
    num_cells: int, max_running: int, num: int
) -> None:
    assert num_replies(LlamaOptions(num_cells=num_cells, max_running=max_running)) == num
