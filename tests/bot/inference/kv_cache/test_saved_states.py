"""Threads that are offloaded and restored: the policy, over the strict model of letters."""

from __future__ import annotations

import random

import pytest

from bot.generation import FinishReason
from bot.inference.core.saved_state import SavedState
from bot.inference.core.sequence import Chunk, Offload, Restore, Sequence, Step
from bot.inference.kv_cache.saved_states import CostModel, SavedStates
from tests.bot.inference.letters import SYSTEM, Disk, Engine, prompt_of, said, script
from tests.fakes.model import ANSWER

LONG = "x" * 60


def open_saved_states(max_memory: int = 1 << 20, max_disk: int = 0) -> SavedStates:
    saved_states = SavedStates(max_memory, max_disk)
    saved_states.is_open = True
    return saved_states


def crowded(saved_states: SavedStates, *, cells: int = 600, num_threads: int = 12) -> Engine:
    """An engine in which threads 0, 1, ... have spoken once, more than fit into the pool."""
    engine = Engine(cells=cells, saved_states=saved_states)
    for number in range(num_threads):
        engine.ask(f"Question {number} {LONG}", thread=str(number))
    engine.step()
    return engine


def num_actions(engine: Engine, kind: type[Offload] | type[Restore]) -> int:
    return sum(isinstance(action, kind) for step in engine.model.steps for action in step.actions)


def test_a_thread_that_was_evicted_resumes_from_its_saved_state() -> None:
    engine = crowded(open_saved_states())
    again = engine.ask(f"Question 0 {LONG}{ANSWER}And?", thread="0")
    assert again.num_shared == len(SYSTEM)
    assert again.num_restored == len(f"Question 0 {LONG}{ANSWER}")
    assert said(again) == script(prompt_of(again))


def test_without_offloading_it_is_evaluated_again_behind_the_shared_prompt() -> None:
    engine = crowded(SavedStates())
    again = engine.ask(f"Question 0 {LONG}{ANSWER}And?", thread="0")
    assert (again.num_shared, again.num_restored) == (len(SYSTEM), 0)
    assert num_actions(engine, Offload) == 0


def test_a_restored_thread_frees_its_cells_of_the_shared_prompt() -> None:
    engine = crowded(open_saved_states())
    before = engine.model.num_used
    own = len(engine.ask(f"Question 0 {LONG}{ANSWER}And?", thread="0").tokens) - len(SYSTEM)
    assert engine.model.num_used <= before + own
    assert engine.policy.stats.num_cells_used == engine.model.num_used


def test_where_the_shared_prompt_is_gone_the_restored_thread_brings_it_back() -> None:
    saved_states = open_saved_states()
    engine = crowded(saved_states)
    engine.policy.lose_everything()
    engine.model.reset()
    again = engine.ask(f"Question 0 {LONG}{ANSWER}And?", thread="0")
    assert (again.num_shared, again.num_restored) == (0, len(f"{SYSTEM}Question 0 {LONG}{ANSWER}"))
    other = engine.ask("Something else", thread="new")
    assert other.num_shared == len(SYSTEM)


def test_an_edited_question_is_restored_up_to_the_fork() -> None:
    engine = crowded(open_saved_states())
    edited = engine.ask(f"Question 0 {LONG[:40]} no", thread="0")
    assert edited.num_restored == len(f"Question 0 {LONG[:40]}")
    assert said(edited) == script(prompt_of(edited))


def test_a_saved_thread_without_a_name_is_found_by_its_text() -> None:
    engine = Engine(cells=600, saved_states=open_saved_states())
    for number in range(12):
        engine.ask(f"{number} asks {LONG}")
    again = engine.ask(f"0 asks {LONG}{ANSWER}And?")
    assert again.num_restored > len(LONG)


def test_no_saved_state_crosses_from_one_workspace_to_another() -> None:
    engine = Engine(cells=600, saved_states=open_saved_states())
    for number in range(12):
        engine.ask(f"{number} {LONG}", thread=str(number), scope="slack:T01")
    other = engine.ask(f"0 {LONG}", thread="0", scope="slack:T02")
    assert (other.num_shared, other.num_restored) == (0, 0)


def test_one_idle_thread_leaves_with_each_step_so_that_none_is_long() -> None:
    engine = Engine(cells=2_000, saved_states=open_saved_states())
    many = [engine.sequence(f"{n} {LONG * 3}", thread=str(n), person=str(n)) for n in range(8)]
    for sequence in many:
        engine.policy.add(sequence)
    while engine.step():
        pass
    offloads = [sum(isinstance(a, Offload) for a in step.actions) for step in engine.model.steps]
    assert max(offloads) == 1
    assert sum(offloads) > 1


def test_beside_a_running_sequence_not_even_a_short_idle_thread_stays_in_the_pool() -> None:
    engine = Engine(cells=10_000, saved_states=open_saved_states())
    for name in ("first", "second"):
        engine.ask(f"{name} {LONG}", thread=name)
    asked = engine.sequence("And I?", thread="third")
    engine.policy.add(asked)
    while engine.step():
        assert engine.policy.stats.num_cached_threads <= 1
    assert num_actions(engine, Offload) == 2


def test_where_saving_costs_more_than_it_gains_idle_threads_keep_a_quarter_of_the_pool() -> None:
    saved_states = open_saved_states()
    saved_states.costs.evaluated(prefill(100), 0.001)
    saved_states.costs.saved(copied(1_000, 5.0))
    engine = crowded(saved_states, cells=2_000, num_threads=20)
    kept = engine.policy.stats.num_cells_used - len(SYSTEM)
    assert num_actions(engine, Offload) < 3
    assert 2_000 // 8 < kept <= 2_000 // 4


def test_a_preempted_sequence_resumes_from_a_saved_state() -> None:
    engine = Engine(cells=360, saved_states=open_saved_states())
    texts = ["a" * 60, "b" * 60, "c" * 60]
    asked = [engine.sequence(t, system="", person=t[:1], limit=100) for t in texts]
    engine.model.answers(lambda prompt: prompt * 2)
    for sequence in asked:
        engine.policy.add(sequence)
    while engine.step():
        pass
    assert engine.policy.stats.num_preempted > 0
    assert num_actions(engine, Restore) > 0
    assert [said(s) for s in asked] == [(text * 2)[:100] for text in texts]


def test_a_state_that_llama_cpp_refuses_costs_evaluating_again_and_nothing_else() -> None:
    saved_states = open_saved_states()
    engine = crowded(saved_states)
    engine.model.refuses = 1
    again = engine.ask(f"Question 0 {LONG}{ANSWER}And?", thread="0")
    assert (again.num_shared, again.num_restored) == (len(SYSTEM), 0)
    assert said(again) == script(prompt_of(again))
    assert engine.policy.stats.num_cells_used == engine.model.num_used


def test_a_forgotten_thread_is_neither_cached_nor_saved() -> None:
    saved_states = open_saved_states()
    engine = crowded(saved_states)
    for number in ("0", "11"):
        engine.policy.forget("", number)
        again = engine.ask(f"Question {number} {LONG}{ANSWER}And?", thread=number)
        assert (again.num_resumed, again.num_restored) == (0, 0)


def test_a_thread_that_is_forgotten_while_it_is_answered_is_not_kept_either() -> None:
    engine = Engine(saved_states=open_saved_states())
    asked = engine.sequence(f"Hello {LONG}", thread="1")
    engine.policy.add(asked)
    engine.step()
    engine.policy.forget("", "1")
    engine.policy.finish(asked, FinishReason.CANCELLED)
    while engine.step():
        pass
    assert engine.policy.stats.num_cached_threads == 0


def test_a_sequence_that_waits_for_a_state_on_disk_does_not_delay_running_replies() -> None:
    saved_states = open_saved_states()
    engine = Engine(cells=600, saved_states=saved_states)
    disk = Disk(saved_states, delay=5, damages=0)

    def step() -> Step | None:
        step = engine.policy.plan()
        if step:
            engine.run(step)
        disk.settle(step)
        return step

    for number in range(8):
        engine.policy.add(engine.sequence(f"Question {number} {LONG}", thread=str(number)))
    while step():
        pass
    running = engine.sequence(f"Other {LONG}", thread="other", person="bob")
    engine.policy.add(running)
    step()
    again = engine.sequence(f"Question 0 {LONG}{ANSWER}And?", thread="0")
    engine.policy.add(again)
    step()
    assert again.slot is None
    while not (running.is_finished and again.is_finished):
        step()
    assert again.num_restored > len(LONG)
    assert said(again) == script(prompt_of(again))


@pytest.mark.parametrize("seed", range(3))
def test_a_day_of_eight_threads_that_take_turns_in_a_small_pool(seed: int) -> None:
    """Each resumes where it was, most often from disk; every reply is what its text demands."""
    choose, saved_states = random.Random(seed), open_saved_states()  # noqa: S311
    engine = Engine(cells=420, saved_states=saved_states)
    disk = Disk(saved_states, delay=2, damages=7)
    texts = {name: f"Thread {name}: {LONG[:20]}" for name in "abcdefgh"}
    running: dict[str, Sequence] = {}
    for _ in range(1_500):
        name = choose.choice("abcdefgh")
        if name not in running and len(texts[name]) < 220:
            running[name] = engine.sequence(
                texts[name], thread=name, person=name, is_held=name in "aceg"
            )
            engine.policy.add(running[name])
        step = engine.policy.plan()
        if step:
            engine.run(step)
        disk.settle(step)
        for name in [n for n, s in running.items() if s.is_finished]:
            done = running.pop(name)
            assert script(prompt_of(done)).startswith(said(done))
            texts[name] += f"{ANSWER}{said(done)}|more {choose.randrange(100)}"
            if len(texts[name]) > 200:
                texts[name] = f"Thread {name}: again {choose.randrange(100)}"
    assert num_actions(engine, Restore) > 20
    while engine.step() or saved_states.wanted:
        disk.settle(None)
    assert engine.policy.stats.num_cells_used == engine.model.num_used


def test_the_least_recently_used_leave_the_memory_first_and_the_bytes_are_bounded() -> None:
    """One state more than the budget may be there: the one that is being written."""
    saved_states = open_saved_states(max_memory=1_000)
    kept = [in_memory(str(n), 300) for n in range(5)]
    for saved in kept:
        saved_states.add(saved)
        saved_states.drop_excess()
    assert [p.thread for p in saved_states] == ["1", "2", "3", "4"]
    assert (saved_states.memory_bytes, saved_states.num_dropped) == (1_200, 1)


def test_states_go_to_disk_oldest_first_and_the_oldest_file_makes_room() -> None:
    saved_states = open_saved_states(max_memory=900, max_disk=600)
    for number in range(4):
        saved_states.add(in_memory(str(number), 300))
    written = []
    while saved := saved_states.next_to_spill():
        assert saved_states.make_room_on_disk(saved)
        saved.file, saved.state = f"file {saved.thread}", None
        written.append(saved.thread)
    assert written == ["0", "1"]
    saved_states.add(in_memory("4", 300))
    saved_states.add(in_memory("5", 300))
    third = saved_states.next_to_spill()
    assert third is not None
    assert saved_states.make_room_on_disk(third)
    assert saved_states.discarded == ["file 0"]
    assert saved_states.disk_bytes + third.num_bytes == 600


def test_a_state_larger_than_the_disk_may_hold_finds_no_room() -> None:
    saved_states = open_saved_states(max_memory=0, max_disk=100)
    saved = in_memory("1", 300)
    saved_states.add(saved)
    assert not saved_states.make_room_on_disk(saved)


def in_memory(thread: str, num_bytes: int) -> SavedState:
    return SavedState("", thread, [1, 2, 3], memoryview(bytes(num_bytes)), num_bytes=num_bytes)


def prefill(num_tokens: int) -> Step:
    return Step([], [Chunk(0, 0, [1] * num_tokens, False)])


def copied(num_bytes: int, seconds: float) -> SavedState:
    return SavedState("", "1", [1] * 100, None, "f", num_bytes, seconds=seconds)


@pytest.mark.parametrize(("copy_seconds", "is_worth"), [(0.02, True), (0.06, False)])
def test_states_are_saved_that_come_back_twice_as_fast_as_they_are_evaluated(
    copy_seconds: float, is_worth: bool
) -> None:
    costs = CostModel()
    costs.evaluated(prefill(100), 0.1)
    costs.saved(copied(1_000, copy_seconds))
    costs.restored(copied(1_000, copy_seconds))
    assert costs.is_worth_saving(100, 100) is is_worth


def test_only_the_tokens_that_are_not_shared_count_as_gained() -> None:
    costs = CostModel()
    costs.evaluated(prefill(100), 0.1)
    costs.saved(copied(1_000, 0.01))
    costs.restored(copied(1_000, 0.01))
    assert costs.is_worth_saving(100, 90)
    assert not costs.is_worth_saving(100, 30)


def test_a_slow_disk_is_left_alone_but_tried_again_now_and_then() -> None:
    costs = CostModel()
    costs.evaluated(prefill(100), 0.1)
    slow = copied(1_000, 0.001)
    costs.was_read(slow, 5.0)
    tried = [costs.is_worth_restoring(slow, 100) for _ in range(64)]
    assert tried.count(True) == 2
