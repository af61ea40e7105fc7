"""Threads that resume from their cached cells, and system prompts that many share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.generation import FinishReason
from bot.inference.core.sequence import common_length
from bot.inference.kv_cache.cached_threads import CachedTokens, SharedPrefixes, ThreadIndex
from bot.inference.kv_cache.prefix_lookup import PrefixLookup
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


def test_a_system_prompt_is_evaluated_once_and_shared() -> None:
    engine = Engine()
    first = engine.ask("Hello?", thread="1")
    second = engine.ask("Goodbye?", thread="2")
    assert (first.num_shared, first.num_resumed) == (0, 0)
    assert (second.num_shared, second.num_resumed) == (len(SYSTEM), 0)
    assert said(second) == script(prompt_of(second))


def test_a_question_asked_at_the_same_time_waits_for_the_prompt_that_another_evaluates() -> None:
    engine = Engine()
    both = [engine.sequence(text, person=text) for text in ("Hello?", "Goodbye?")]
    for sequence in both:
        engine.policy.add(sequence)
    while engine.step():
        pass
    assert sorted(s.num_shared for s in both) == [0, len(SYSTEM)]


def several(engine: Engine, text: str, *, thread: str | None = None) -> list[int]:
    """How many tokens of the prompt each of three answers to one question found."""
    asked = [
        engine.sequence(text, thread=name, shares_prompt=True) for name in (thread, None, None)
    ]
    for sequence in asked:
        engine.policy.add(sequence)
    while engine.step():
        pass
    assert {said(sequence) for sequence in asked} == {script(prompt_of(asked[0]))}
    return [sequence.num_shared + sequence.num_resumed for sequence in asked]


def test_several_answers_share_a_system_prompt_that_is_there_already() -> None:
    engine = Engine()
    engine.ask("Hello?")
    num_all = len(SYSTEM) + len("Goodbye? " * 9)
    assert several(engine, "Goodbye? " * 9) == [len(SYSTEM), num_all, num_all]
    assert engine.ask("Hello again?").num_shared == len(SYSTEM)


def test_several_answers_in_a_thread_go_on_from_its_cells_and_read_the_rest_once() -> None:
    engine = Engine()
    first = engine.ask("Hello?", thread="1")
    text = f"Hello?{ANSWER}{said(first)}|{'More? ' * 9}"
    num_all = len(SYSTEM) + len(text)
    assert several(engine, text, thread="1") == [first.num_cached, num_all, num_all]


@pytest.mark.parametrize("system", ["s" * 200, ""])
def test_a_person_does_not_wait_for_warming_of_the_same_beginning(system: str) -> None:
    """Warming comes last in every step, so another person's long question delays it."""
    engine = Engine(cells=4_000)
    ahead = engine.sequence("c" * 400, system=system, thread="1", limit=0)
    ahead.is_background = True
    engine.policy.add(ahead)
    engine.step()
    engine.policy.add(engine.sequence("x" * 1_500, system="", person="bob"))
    engine.step()
    asked = engine.sequence(f"{'c' * 100}?", system=system, thread="2")
    engine.policy.add(asked)
    slots = []
    while not asked.is_finished:
        engine.step()
        slots.append(asked.slot)
    assert None not in slots[:-1]
    assert ahead.finish_reason is None
    assert engine.ask("Goodbye?", thread="3", system=system).num_shared == len(system)
    while engine.step():
        pass
    assert ahead.is_finished
    assert said(asked) == script(prompt_of(asked))


def test_a_thread_resumes_from_its_own_cells() -> None:
    engine = Engine()
    first = engine.ask("Hello?", thread="1")
    follow_up = f"Hello?{ANSWER}{said(first)}|More?"
    second = engine.ask(follow_up, thread="1")
    assert second.num_shared == len(SYSTEM)
    assert second.num_shared + second.num_resumed == first.num_cached
    assert said(second) == script(prompt_of(second))


def test_questions_that_begin_alike_share_their_beginning_at_once_and_later() -> None:
    engine = Engine()
    asked = [
        engine.sequence(f"Write a story with these words: {words}", system="", person=words)
        for words in ("harbour and lantern", "copper", "meadow")
    ]
    for sequence in asked:
        engine.policy.add(sequence)
    while engine.step():
        pass
    later = engine.ask("Write a story with these words: orchard", thread="later", system="")
    common = len("Write a story with these words: ")
    assert [s.num_shared for s in asked] == [0, common, common]
    assert later.num_shared == common
    assert all(said(s) == script(prompt_of(s)) for s in (*asked, later))


def test_only_the_last_common_beginnings_are_kept() -> None:
    engine = Engine(slots=64)
    for number in range(40):
        beginning = f"{number:02} {'x' * 17}"
        both = [engine.sequence(beginning + ending, system="") for ending in "?!"]
        for sequence in both:
            engine.policy.add(sequence)
        while both[1].num_generated < 1:
            engine.step()
        for sequence in both:
            engine.policy.finish(sequence, FinishReason.CANCELLED)
    engine.step()
    assert engine.policy.stats.num_cells_used == engine.model.num_used == 17 * len(beginning)


def test_an_edited_question_keeps_the_cells_up_to_the_fork() -> None:
    engine = Engine()
    engine.ask("Tell me of harbours and lanterns", thread="1")
    edited = engine.ask("Tell me of harbours and bridges", thread="1")
    assert edited.num_shared + edited.num_resumed == len(SYSTEM + "Tell me of harbours and ")
    assert said(edited) == script(prompt_of(edited))


def test_a_thread_without_a_name_is_known_by_its_text() -> None:
    engine = Engine()
    first = engine.ask("A question that is long enough to be told apart")
    follow_up = engine.ask(
        f"A question that is long enough to be told apart{ANSWER}{said(first)}|And?"
    )
    assert follow_up.num_shared + follow_up.num_resumed == first.num_cached


def test_a_system_prompt_alone_does_not_resume_a_thread_without_a_name() -> None:
    engine = Engine()
    first = engine.ask("Why?")
    other = engine.ask("How come?")
    follow_up = engine.ask(f"Why?{ANSWER}{said(first)}|And?")
    assert (other.num_shared, other.num_resumed) == (len(SYSTEM), 0)
    assert follow_up.num_resumed == first.num_cached - len(SYSTEM)


def test_nothing_is_shared_between_workspaces() -> None:
    engine = Engine()
    engine.ask("A question that is long enough to be told apart", scope="slack:T01")
    other = engine.ask("A question that is long enough to be told apart", scope="slack:T02")
    assert (other.num_shared, other.num_resumed) == (0, 0)


def test_where_cells_cannot_be_trimmed_a_thread_is_evaluated_from_its_first_token() -> None:
    engine = Engine(reuse=False)
    engine.ask("Hello?", thread="1")
    again = engine.ask("Hello?", thread="1")
    assert (again.num_shared, again.num_resumed) == (0, 0)
    assert engine.policy.stats.num_cells_used == 0


def test_idle_threads_are_evicted_for_running_ones_and_the_prompt_outlives_its_users() -> None:
    engine = Engine(cells=400)
    for number in range(12):
        engine.ask(f"Question number {number} " + "x" * 60, thread=str(number))
    assert 0 < engine.policy.stats.num_cached_threads < 12
    late = engine.ask("And one more", thread="late")
    assert late.num_shared == len(SYSTEM)


def test_idle_threads_keep_to_a_quarter_of_the_pool() -> None:
    engine = Engine(cells=2_000)
    for number in range(12):
        engine.ask(f"Question number {number} " + "x" * 100, thread=str(number))
    engine.step()
    assert len(SYSTEM) < engine.model.num_used <= 2_000 // 4 + len(SYSTEM)
    last = engine.ask("Question number 11 " + "x" * 100, thread="11")
    assert last.num_resumed > 0


def test_slots_run_out_gracefully() -> None:
    engine = Engine(slots=6)
    for number in range(20):
        asked = engine.ask(f"Question number {number} " + "x" * 40, thread=str(number))
        assert said(asked) == script(prompt_of(asked))


@pytest.mark.parametrize("slots", [4, 5, 6])
def test_a_shared_beginning_takes_no_slot_of_a_sequence_that_may_run(slots: int) -> None:
    """Four may run; the last begins like the first, when one slot more than theirs is free."""
    engine = Engine(slots=slots)
    beginnings = ["a" * 40, "b" * 40, "c" * 40, "a" * 40]
    asked = [
        engine.sequence(f"{beginning} {number}", system="", person=str(number))
        for number, beginning in enumerate(beginnings)
    ]
    for number in range(3):
        engine.policy.add(asked[number])
        engine.step()
    engine.policy.add(asked[3])
    engine.step()
    assert [s.slot is not None for s in asked] == [True] * 4
    assert asked[3].num_shared == (0 if slots == 4 else 41)
    while engine.step():
        pass
    assert all(said(s) == script(prompt_of(s)) for s in asked)


def test_a_new_system_prompt_is_shared_in_place_of_an_unused_one() -> None:
    engine = Engine(slots=5)
    for letter in "de":
        system = letter * 60
        first = engine.ask("Hello?", system=system)
        second = engine.ask("Goodbye?", system=system)
        assert (first.num_shared, second.num_shared) == (0, 60)


def test_a_reply_cut_short_by_stop_leaves_cells_for_the_next_turn() -> None:
    engine = Engine()
    stopped = engine.sequence("Hello?", thread="1")
    engine.policy.add(stopped)
    for _ in range(4):
        engine.step()
    step = engine.policy.plan()  # a step is under way while the person stops it
    assert step is not None
    engine.policy.finish(stopped, FinishReason.CANCELLED)
    engine.policy.apply(step, engine.model.run(step), engine.model.is_end)
    again = engine.ask("Hello? More", thread="1")
    assert again.num_resumed > 0
    assert said(again) == script(prompt_of(again))
    assert engine.policy.stats.num_cells_used == engine.model.num_used


def test_after_the_models_memory_was_lost_everything_is_evaluated_again() -> None:
    engine = Engine()
    engine.ask("Hello?", thread="1")
    engine.policy.lose_everything()
    engine.model.reset()
    again = engine.ask("Hello?", thread="1")
    assert (again.num_shared, again.num_resumed) == (0, 0)
    assert engine.policy.stats.num_cells_used == engine.model.num_used


@pytest.mark.parametrize(
    ("one", "other", "length"), [("abc", "abd", 2), ("", "a", 0), ("ab", "abc", 2)]
)
def test_common_length(one: str, other: str, length: int) -> None:
    assert common_length([*map(ord, one)], [*map(ord, other)]) == length


LONG = ["a" * 50, "a" * 80, "ab" * 35, "a" * 40 + "b" * 40]
BEGINNINGS = st.sampled_from(["", "c" * 20, "c" * 20 + "d" * 20])
ASKS = st.lists(
    st.builds(
        Ask,
        at=st.integers(0, 100),
        text=BEGINNINGS.flatmap(
            lambda first: st.text("ab", min_size=1, max_size=60).map(first.__add__)
        )
        | st.sampled_from(LONG),
        system=st.sampled_from(["", SYSTEM[:33], SYSTEM]),
        thread=st.none() | st.sampled_from("tuv"),
        scope=st.sampled_from("xy"),
        limit=st.integers(0, 15),
        is_background=st.booleans(),
        person=st.sampled_from("klm"),
        cancel_at=st.none() | st.integers(0, 130),
        num_answers=st.sampled_from([1, 1, 3]),
    ),
    min_size=1,
    max_size=25,
)


@settings(deadline=None)
@given(
    asks=ASKS,
    share=st.integers(1, 40),
    whole=st.sampled_from([0, 30]),
    pause=st.sampled_from([0, 30, 200]),
    cells=st.integers(180, 400),
    slots=st.integers(4, 12),
    delay=st.none() | st.integers(0, 5),
    damages=st.sampled_from([0, 0, 2]),
    refuses=st.sampled_from([0, 0, 0, 1]),
    forgets=st.lists(st.tuples(st.integers(0, 70), st.sampled_from("tuv")), max_size=3),
    offloads=st.booleans(),
    drafts_err_at=st.integers(0, 5),
)
def test_whatever_is_asked_everybody_finishes_and_no_rule_is_broken(
    asks: list[Ask],
    share: int,
    whole: int,
    pause: int,
    cells: int,
    slots: int,
    delay: int | None,
    damages: int,
    refuses: int,
    forgets: list[tuple[int, str]],
    offloads: bool,
    drafts_err_at: int,
) -> None:
    saved_states = SavedStates(max_memory=1 << 20)
    saved_states.is_open = offloads
    disk = Disk(saved_states, delay=delay, damages=damages) if delay is not None else None
    engine = Engine(
        cells=cells, slots=slots, saved_states=saved_states, drafts_err_at=drafts_err_at
    )
    policy, model = engine.policy, engine.model
    model.refuses = refuses
    everyone = everyone_of(engine, asks)
    limits = StepLimits(share, share + share // 2, share, 2 * share, whole, pause)
    policy.limits_of = lambda _num_replies, _num_cells: limits
    forgotten = [(at, "x", thread) for at, thread in forgets]
    play(engine, everyone, disk=disk, forgets=forgotten, rests_every=50)
    assert policy.stats.num_cells_used == model.num_used
    for ask, one in everyone:
        assert one.is_finished
        assert script(prompt_of(one)).startswith(said(one))
        if one.finish_reason is FinishReason.LENGTH:
            assert one.num_generated == ask.limit


class Counted(ThreadIndex[CachedTokens]):
    num_matches = 0

    def match(
        self, scope: str, thread: str | None, tokens: list[int], num_prefix: int
    ) -> tuple[CachedTokens, int] | None:
        self.num_matches += 1
        return super().match(scope, thread, tokens, num_prefix)


def test_whoever_waits_is_looked_up_again_only_when_something_else_is_cached() -> None:
    threads, made = Counted(), Engine()
    lookup = PrefixLookup(threads, SharedPrefixes(), SavedStates(), reuse=True)
    waiting = [made.sequence("Hello?", thread=thread) for thread in "ab"]
    for _ in range(3):
        assert [lookup.find(each).num_tokens for each in waiting] == [0, 0]
    assert threads.num_matches == 2
    threads.add(CachedTokens(0, "", "a", waiting[0].tokens[:50]))
    assert [lookup.find(each).num_tokens for each in waiting] == [50, 0]
