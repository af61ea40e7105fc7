"""Sequences in streams of their own: lanes that are arranged for whoever runs, moves, shelves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations_with_replacement

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.inference.core.lanes import FIRST_SHELF, Lane, equal_lanes, round_up
from bot.inference.core.sequence import Arrange, Move, Offload, Sequence, Share
from bot.inference.kv_cache.layout import Budget, arrange
from bot.inference.kv_cache.saved_states import SavedStates
from bot.inference.scheduling.step_limits import StepLimits
from tests.bot.inference.letters import (
    SYSTEM,
    Ask,
    Disk,
    Engine,
    everyone_of,
    play,
    prompt_of,
    said,
    script,
)
from tests.fakes.model import ANSWER

CELLS = 4_096


def engine(
    cells: int = CELLS,
    saved_states: SavedStates | None = None,
    drafts_err_at: int = 0,
    *,
    flash_prefill: bool = False,
) -> Engine:
    """Four sequences at once, in as many streams at first."""
    lanes = equal_lanes(cells, 4)
    return Engine(
        cells=cells,
        lanes=lanes,
        saved_states=saved_states,
        drafts_err_at=drafts_err_at,
        flash_prefill=flash_prefill,
    )


def open_saved_states() -> SavedStates:
    saved_states = SavedStates(max_memory=1 << 20)
    saved_states.is_open = True
    return saved_states


def run(made: Engine, *asked: Sequence) -> None:
    """All of them at once, to their ends."""
    for sequence in asked:
        made.policy.add(sequence)
    while made.step():
        pass
    for sequence in asked:
        assert said(sequence) == script(prompt_of(sequence))


def actions(made: Engine, kind: type) -> list[object]:
    return [a for step in made.model.steps for a in step.actions if isinstance(a, kind)]


def test_four_short_sequences_run_in_consecutive_streams_without_a_new_arrangement() -> None:
    made = engine()
    run(made, *(made.sequence(f"Question {n}?", person=str(n)) for n in range(4)))
    assert not actions(made, Arrange)
    together = max(made.model.steps, key=lambda step: step.num_decode)
    assert sorted(chunk.slot for chunk in together.chunks) == [0, 1, 2, 3]


def test_for_a_long_prompt_the_lanes_are_arranged_anew_and_those_that_run_move() -> None:
    made = engine()
    made.model.answers(lambda prompt: script(prompt) * 5)
    asked = [made.sequence(f"Question {n}?", system="", person=str(n), limit=100) for n in range(2)]
    for sequence in asked:
        made.policy.add(sequence)
    made.step()
    asked.append(made.sequence("x" * 2_500, person="long", limit=100))
    made.policy.add(asked[-1])
    while made.step():
        pass
    (arranged,) = actions(made, Arrange)
    assert isinstance(arranged, Arrange)
    assert len(arranged.moves) == 2
    assert made.policy.stats.num_moved >= 2
    assert made.policy.stats.num_arranged == 1
    for sequence in asked:
        assert said(sequence) == script(prompt_of(sequence)) * 5


def test_a_prompt_waits_for_a_stream_that_comes_free_soon_without_a_new_arrangement() -> None:
    made = engine()
    first, second = (made.sequence(letter * 1_100, system="", person=letter) for letter in "ab")
    made.policy.add(first)
    while first.num_generated < 10:
        made.step()
    run(made, second)
    assert said(first) == script(prompt_of(first))
    assert made.policy.stats.num_arranged == 1


def test_a_reply_that_outgrows_its_stream_moves_to_a_longer_one() -> None:
    made = engine()
    made.model.answers(lambda _prompt: "y" * 1_500)
    asked = made.sequence("x" * 600, system="", limit=1_500)
    made.policy.add(asked)
    while made.step():
        pass
    assert said(asked) == "y" * 1_500
    assert made.policy.stats.num_arranged + made.policy.stats.num_moved > 0
    assert made.policy.stats.num_preempted == 0


def test_a_reply_that_cannot_grow_beside_others_makes_the_youngest_wait() -> None:
    made = engine(cells=1_024, saved_states=open_saved_states())
    made.model.answers(lambda prompt: prompt[0] * 700)
    asked = [made.sequence(letter * 20, system="", person=letter, limit=700) for letter in "abc"]
    for sequence in asked:
        made.policy.add(sequence)
    while made.step():
        pass
    assert [said(s) for s in asked] == ["a" * 700, "b" * 700, "c" * 700]
    assert made.policy.stats.num_preempted > 0


def test_an_idle_thread_resumes_in_its_stream() -> None:
    made = engine()
    first = made.ask("Hello?", thread="1")
    second = made.ask(f"Hello?{ANSWER}{said(first)}|And?", thread="1")
    assert second.num_resumed + second.num_shared == first.num_cached
    assert not actions(made, Offload)


def test_an_idle_thread_that_outgrew_its_stream_resumes_in_a_longer_one() -> None:
    made = engine()
    first = made.ask("Hello?", thread="1")
    text = f"Hello?{ANSWER}{said(first)}|{'And? ' * 300}"
    second = made.ask(text, thread="1")
    assert said(second) == script(prompt_of(second))
    assert made.policy.stats.num_arranged == 1


def test_idle_threads_leave_their_streams_only_when_somebody_needs_them() -> None:
    made = engine(saved_states=open_saved_states())
    for number in range(4):
        made.ask(f"Question {number}?" * 5, thread=str(number))
    assert not actions(made, Offload)
    made.ask("Question 5?" * 5, thread="5")
    assert [a.slot for a in actions(made, Offload) if isinstance(a, Offload)] == [0]
    assert made.policy.stats.num_cached_threads == 4


def test_a_thread_whose_saved_state_is_longer_than_its_edited_question_is_restored() -> None:
    made = engine(saved_states=open_saved_states())
    made.ask("x" * 1_100, thread="1", system="")
    step = made.policy.offload_idle()
    assert step
    made.model.run(step)
    edited = made.ask(f"{'x' * 600}, or not?", thread="1", system="")
    assert edited.num_restored == 600
    assert said(edited) == script(prompt_of(edited))


def test_a_system_prompt_lies_on_a_shelf_and_is_copied_from_there() -> None:
    made = engine()
    first = made.ask("Hello?", thread="1")
    others = [made.sequence(f"Question {n}?", thread=f"t{n}", person=str(n)) for n in range(3)]
    run(made, *others)
    assert first.num_shared == 0
    assert [other.num_shared for other in others] == [len(SYSTEM)] * 3
    shares = [a for a in actions(made, Share) if isinstance(a, Share)]
    assert [a.target >= FIRST_SHELF for a in shares] == [True, False, False, False]


def test_a_gap_is_closed_so_that_those_that_run_are_evaluated_together() -> None:
    made = engine()
    made.model.answers(lambda _prompt: "y" * 60)
    asked = [
        made.sequence(f"Question {n}?", person=str(n), limit=60 if n != 1 else 3) for n in range(4)
    ]
    for sequence in asked:
        made.policy.add(sequence)
    while made.step():
        pass
    assert actions(made, Move)
    slots = [sorted(c.slot for c in step.chunks) for step in made.model.steps]
    assert [0, 1, 2] in slots
    assert all(said(sequence) == "y" * sequence.max_tokens for sequence in asked)


def test_after_a_failure_the_plan_begins_with_the_first_lanes_as_the_model_does() -> None:
    made = engine()
    long = made.sequence("x" * 2_500, person="long")
    made.policy.add(long)
    for _ in range(10):
        made.step()
    assert made.policy.stats.num_arranged == 1
    assert made.policy.lose_everything() == [long]
    made.model.reset()
    run(made, *(made.sequence(letter * 700, person=letter) for letter in "abcd"))
    assert made.policy.stats.num_arranged == 1
    assert made.policy.stats.num_cells_used == made.model.num_used


def flash_slots(made: Engine) -> set[int]:
    """Slots of lanes with flash attention, of all arrangements so far."""
    lanes = [lane for a in actions(made, Arrange) if isinstance(a, Arrange) for lane in a.lanes]
    return {slot for lane in lanes if lane.is_flash for slot in lane.slots}


def test_a_long_prompt_that_is_alone_has_flash_attention_until_it_is_evaluated() -> None:
    made = engine(flash_prefill=True)
    asked = made.ask("x" * 2_500, system="")
    prompts = {c.slot for step in made.model.steps for c in step.chunks if not c.is_reply}
    replies = [c.slot for step in made.model.steps[45:] for c in step.chunks]
    assert flash_slots(made) & prompts
    assert not flash_slots(made) & set(replies)
    assert said(asked) == script(prompt_of(asked))


def test_a_long_prompt_leaves_flash_attention_when_somebody_else_comes() -> None:
    made = engine(flash_prefill=True)
    long = made.sequence("x" * 2_500, system="", person="long")
    made.policy.add(long)
    for _ in range(5):
        made.step()
    assert {chunk.slot for chunk in made.model.steps[-1].chunks} <= flash_slots(made)
    run(made, made.sequence("Hello?", person="short"))
    assert said(long) == script(prompt_of(long))
    later = {c.slot for step in made.model.steps[6:] for c in step.chunks}
    assert not later & flash_slots(made)


def test_a_short_prompt_has_the_attention_of_replies() -> None:
    made = engine(flash_prefill=True)
    made.ask("x" * 500)
    assert not flash_slots(made)


NEEDS = st.lists(st.integers(1, 8_192), min_size=1, max_size=16)


def fewest_cells(needs: list[int]) -> int:
    """That three lanes can have."""
    lengths = [round_up(need) for need in sorted(needs)]
    ends = combinations_with_replacement(range(len(lengths)), 2)
    return min(
        (a + 1) * lengths[a] + (b - a) * lengths[b] + (len(lengths) - 1 - b) * lengths[-1]
        for a, b in ends
    )


@given(
    needs=NEEDS,
    num_cells=st.sampled_from([8_192, 16_384, 20_000, 65_536]),
    pass_cells=st.sampled_from([0, 500, 3_000, 1_000_000]),
    others=st.none() | NEEDS,
)
def test_an_arrangement_holds_everybody_within_the_budget(
    needs: list[int], num_cells: int, pass_cells: int, others: list[int] | None
) -> None:
    first = equal_lanes(num_cells, 16)
    budget = Budget(num_cells, 16, first[0].stream_cells, 8_192, pass_cells)
    before = arrange(others, budget, first) if others else None
    current = before.lanes if before else first
    found = arrange(needs, budget, current)
    if found is None:
        assert fewest_cells(needs) > num_cells
        return
    assert sum(lane.num_cells for lane in found.lanes) <= num_cells
    slots = [slot for lane in found.lanes for slot in lane.slots]
    assert len(slots) == len(set(slots))
    for lane in found.lanes:
        assert lane.stream_cells % 256 == 0
        assert found.assigned.count(lane) <= lane.num_streams
        assert lane in current or not set(lane.slots) & {s for c in current for s in c.slots}
    assert all(n <= lane.stream_cells for n, lane in zip(needs, found.assigned, strict=True))


def lengths(lanes: Iterable[Lane]) -> list[tuple[int, int]]:
    return [(lane.num_streams, lane.stream_cells) for lane in lanes]


@pytest.mark.parametrize(
    ("needs", "pass_cells", "expected"),
    [
        ([300], 3_000, [(16, 1_024)]),
        ([300] * 8 + [1_500], 3_000, [(14, 1_024), (1, 2_048)]),
        ([1_500] * 8, 3_000, [(8, 2_048)]),
        ([300] * 4 + [7_500], 3_000, [(8, 1_024), (1, 8_192)]),
        ([7_500], 3_000, [(1, 8_192), (8, 1_024)]),
        ([900] * 3 + [1_100], 3_000, [(8, 2_048)]),
    ],
)
def test_lanes_for_these_needs(
    needs: list[int], pass_cells: int, expected: list[tuple[int, int]]
) -> None:
    budget = Budget(16_384, 16, 1_024, 8_192, pass_cells)
    found = arrange(needs, budget)
    assert found is not None
    assert lengths(found.lanes) == expected


LENGTHS = st.sampled_from([5, 30, 60, 200, 240, 300, 480, 700, 2_200])
ASKS = st.lists(
    st.builds(
        Ask,
        at=st.integers(0, 100),
        text=st.builds(lambda letter, n: letter * n, st.sampled_from("ab"), LENGTHS),
        system=st.sampled_from(["", SYSTEM]),
        thread=st.none() | st.sampled_from("tuv"),
        limit=st.sampled_from([0, 3, 10, 200, 600]),
        is_background=st.booleans(),
        person=st.sampled_from("klm"),
        cancel_at=st.none() | st.integers(0, 130),
        num_answers=st.sampled_from([1, 1, 3]),
    ),
    min_size=1,
    max_size=14,
)


@settings(deadline=None)
@given(
    asks=ASKS,
    share=st.integers(10, 60),
    pause=st.sampled_from([0, 200]),
    cells=st.sampled_from([1_024, 1_300, 2_048, 4_096]),
    delay=st.none() | st.integers(0, 5),
    refuses=st.sampled_from([0, 0, 0, 1]),
    forgets=st.lists(st.tuples(st.integers(0, 70), st.sampled_from("tuv")), max_size=3),
    offloads=st.booleans(),
    times=st.integers(1, 30),
    drafts_err_at=st.integers(0, 5),
    flash_prefill=st.booleans(),
)
def test_whatever_is_asked_everybody_finishes_and_no_rule_of_streams_is_broken(
    asks: list[Ask],
    share: int,
    pause: int,
    cells: int,
    delay: int | None,
    refuses: int,
    forgets: list[tuple[int, str]],
    offloads: bool,
    times: int,
    drafts_err_at: int,
    flash_prefill: bool,
) -> None:
    saved_states = SavedStates(max_memory=1 << 20)
    saved_states.is_open = offloads
    disk = Disk(saved_states, delay=delay, damages=2) if delay is not None else None
    made = engine(cells, saved_states, drafts_err_at, flash_prefill=flash_prefill)
    policy, model = made.policy, made.model
    model.refuses = refuses
    model.answers(lambda prompt: script(prompt) * times)
    asks = [ask for ask in asks if len(ask.text) < cells - 200]
    everyone = everyone_of(made, asks)
    for _, one in everyone:
        one.max_tokens = min(one.max_tokens, cells // 256 * 256 - len(one.tokens))
    limits = StepLimits(share, share + share // 2, share, 2 * share, 0, pause)
    policy.limits_of = lambda _num_replies, _num_cells: limits
    forgotten = [(at, "", thread) for at, thread in forgets]
    play(made, everyone, disk=disk, forgets=forgotten, max_ticks=40_000)
    assert policy.stats.num_cells_used == model.num_used
    for _, one in everyone:
        assert one.is_finished
        assert (script(prompt_of(one)) * times).startswith(said(one))
