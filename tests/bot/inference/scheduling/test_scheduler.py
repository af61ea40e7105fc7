"""The scheduler with letters as tokens: no model, no clock, no event loop."""

from __future__ import annotations

import pytest

from bot.errors import QueueFull
from bot.generation import FinishReason, Sampling
from bot.inference.core.sequence import NO_TOKEN, Opening, Release, Sequence, Status, Step
from bot.inference.scheduling.batching import LimitsOf
from bot.inference.scheduling.scheduler import Scheduler
from bot.inference.scheduling.step_limits import StepLimits
from tests.fakes.model import END


def scheduler(
    *, running: int = 4, waiting: int = 100, cells: int = 1_000, batch: int = 64
) -> Scheduler:
    return Scheduler(max_running=running, max_waiting=waiting, num_cells=cells, max_batch=batch)


def share(num_tokens: int) -> LimitsOf:
    return lambda _num_replies, _num_cells: StepLimits.all(num_tokens)


def limits(*, pause: int = 0, young_pause: int = 0) -> LimitsOf:
    found = StepLimits(
        mixed=5, short_mixed=8, prefill=10, last_prefill=40, pause=pause, young_pause=young_pause
    )
    return lambda _num_replies, _num_cells: found


def crowd(size: int, *, pause: int) -> Scheduler:
    """``size`` short questions at once, after the engine was idle."""
    policy = scheduler(running=8)
    policy.rest()
    policy.limits_of = limits(young_pause=pause)
    for number in range(size):
        policy.add(sequence(number, "a" * 12, limit=50))
    return policy


def sequence(number: int, prompt: str = "abc", *, person: str = "", limit: int = 5) -> Sequence:
    return Sequence(number, person or f"p{number}", [ord(c) for c in prompt], limit, Sampling())


def advance(policy: Scheduler, letter: str = "x") -> Step:
    """Plan a step and sample ``letter`` for every slot that wants a token."""
    step = policy.plan()
    assert step is not None
    sampled = {c.slot: [ord(letter)] for c in step.chunks if c.wants_token}
    policy.apply(step, sampled, lambda token: token == END)
    return step


def test_a_prompt_is_evaluated_in_chunks_of_the_prefill_share() -> None:
    policy = scheduler()
    policy.limits_of = share(4)
    policy.add(sequence(1, "abcdefghij"))
    sizes = [len(advance(policy).chunks[0].tokens) for _ in range(3)]
    assert sizes == [4, 4, 2]


def test_running_replies_decode_in_every_step_of_a_long_prefill() -> None:
    policy = scheduler()
    short, long = sequence(1, "abc", limit=50), sequence(2, "z" * 200)
    policy.add(short)
    advance(policy)
    policy.add(long)
    policy.limits_of = share(10)
    for _ in range(15):
        step = advance(policy)
        assert step.num_decode == 1
        assert step.num_prefill == 10
    assert short.num_generated == 16


@pytest.mark.parametrize(("num_tokens", "expected"), [(80, 8), (81, 0)])
def test_only_beside_a_long_prompt_are_replies_owed_half_of_the_time(
    num_tokens: int, expected: int
) -> None:
    policy = scheduler()
    policy.add(sequence(1, "abc", limit=50))
    advance(policy)
    policy.add(sequence(2, "z" * num_tokens))
    owing = StepLimits(mixed=8, short_mixed=8, prefill=8, last_prefill=8, long=80, long_owes=True)
    policy.limits_of = lambda _num_replies, _num_cells: owing
    step = advance(policy)
    assert (step.num_decode, step.num_prefill) == (1, expected)


def test_replies_that_have_only_begun_wait_for_a_crowd_of_short_prompts() -> None:
    """Each prompt is prefilled whole in a step, so that its first word does not wait for others."""
    policy = crowd(5, pause=100)
    steps = [advance(policy) for _ in range(5)]
    assert [(step.num_decode, step.num_prefill) for step in steps] == [(0, 12)] * 5
    assert policy.stats.num_paused == 4
    assert advance(policy).num_decode == 5


def test_they_wait_for_so_many_tokens_in_a_row_and_then_all_decode_one() -> None:
    policy = crowd(6, pause=24)
    steps = [advance(policy) for _ in range(8)]
    assert [(step.num_decode, step.num_prefill) for step in steps] == [
        *[(0, 12)] * 3,
        (3, 0),
        *[(0, 12)] * 2,
        (5, 0),
        (0, 12),
    ]


def test_a_reply_that_has_begun_to_appear_waits_for_no_prompt() -> None:
    policy = scheduler(running=8)
    policy.rest()
    policy.limits_of = limits(young_pause=100)
    policy.add(sequence(1, limit=50))
    for _ in range(10):
        advance(policy)
    policy.add(sequence(2, "a" * 12))
    step = advance(policy)
    assert (step.num_decode, step.num_prefill, policy.stats.num_paused) == (1, 8, 0)


def test_nor_does_one_whose_tokens_were_computed_in_steps_ahead() -> None:
    policy = scheduler(running=8)
    policy.rest()
    policy.limits_of = limits(young_pause=100)
    policy.add(sequence(1, limit=50))
    advance(policy)
    step = policy.plan()
    for number in range(12):
        assert step is not None
        following = policy.plan_ahead(step) if number < 11 else None
        policy.apply(step, {chunk.slot: [ord("x")] for chunk in step.chunks}, lambda _: False)
        step = following
    assert policy.stats.num_ahead == 11
    policy.add(sequence(2, "a" * 12))
    step = advance(policy)
    assert (step.num_decode, step.num_prefill, policy.stats.num_paused) == (1, 8, 0)


@pytest.mark.parametrize("is_background", [False, True])
def test_replies_do_not_wait_for_a_long_prompt_or_a_background_one(
    is_background: bool,
) -> None:
    policy = scheduler(running=8)
    policy.rest()
    policy.limits_of = limits(young_pause=100)
    policy.add(sequence(1, limit=50))
    advance(policy)
    later = sequence(2, "a" * (12 if is_background else 101))
    later.is_background = is_background
    policy.add(later)
    step = advance(policy)
    share_of_it = 8 if is_background else 5
    assert (step.num_decode, step.num_prefill, policy.stats.num_paused) == (1, share_of_it, 0)


def test_in_a_busy_engine_replies_are_not_paused_together() -> None:
    """Replies that begin together end together, and the next ones would wait for each other."""
    policy = scheduler(running=8)
    policy.rest()
    policy.limits_of = limits(young_pause=100)
    first = [sequence(number, "a" * 12, limit=20) for number in range(3)]
    for each in first:
        policy.add(each)
    while not first[0].is_finished:
        advance(policy)
    num_paused = policy.stats.num_paused
    for number in range(3, 6):
        policy.add(sequence(number, "a" * 12, limit=50))
    while policy.waiting or any(s.status is Status.PREFILL for s in policy.running):
        advance(policy)
    assert policy.stats.num_paused == num_paused == 2


def test_replies_wait_for_one_short_prompt_and_decode_before_the_next() -> None:
    policy = scheduler(running=8)
    policy.limits_of = limits(pause=20)
    for number in range(4):
        policy.add(sequence(number, "a" * 12, limit=50))
    steps = [advance(policy) for _ in range(7)]
    assert [(step.num_decode, step.num_prefill) for step in steps] == [
        *[(0, 12)] * 2,
        (2, 0),
        (0, 12),
        (3, 0),
        (0, 12),
        (4, 0),
    ]
    assert policy.stats.num_paused == 3


@pytest.mark.parametrize("num_tokens", [8, 21])
def test_they_wait_for_no_prompt_that_fits_beside_them_or_takes_long(num_tokens: int) -> None:
    policy = scheduler(running=8)
    policy.limits_of = limits(pause=20)
    policy.add(sequence(1, limit=50))
    advance(policy)
    policy.add(sequence(2, "a" * num_tokens, limit=50))
    step = advance(policy)
    assert (step.num_decode, step.num_prefill, policy.stats.num_paused) == (1, 8, 0)


def test_a_short_prompt_beside_replies_takes_a_larger_share_than_a_long_one() -> None:
    policy = scheduler(running=8)
    policy.limits_of = limits()
    policy.add(sequence(1, limit=50))
    advance(policy)
    policy.add(sequence(2, "z" * 48))
    assert [advance(policy).num_prefill for _ in range(4)] == [5, 5, 8, 8]


def test_a_prompt_without_replies_may_end_in_a_larger_step() -> None:
    policy = scheduler()
    policy.limits_of = limits()
    policy.add(sequence(1, "a" * 65))
    assert [advance(policy).num_prefill for _ in range(2)] == [40, 25]


def test_short_prompts_fill_a_step_together() -> None:
    policy = scheduler()
    policy.limits_of = limits()
    for number in range(4):
        policy.add(sequence(number, "abc"))
    assert [len(chunk.tokens) for chunk in advance(policy).chunks] == [3, 3, 3, 1]


def test_a_short_prompt_overtakes_a_long_one_which_keeps_its_share() -> None:
    policy = scheduler(batch=200)
    policy.limits_of = share(20)
    long, short = sequence(1, "z" * 400), sequence(2, "a" * 30)
    policy.add(long)
    advance(policy)
    policy.add(short)
    advance(policy)
    assert (short.num_cached, long.num_cached) == (15, 25)
    advance(policy)
    assert short.status is Status.DECODE
    assert long.num_cached == 30


def test_prompts_of_about_the_same_length_are_prefilled_one_after_another() -> None:
    policy = scheduler()
    policy.limits_of = share(10)
    first, second = sequence(1, "z" * 40), sequence(2, "a" * 25)
    policy.add(first)
    policy.add(second)
    for _ in range(4):
        advance(policy)
    assert (first.status, second.status) == (Status.DECODE, Status.WAITING)


def test_a_long_prompt_is_prefilled_to_its_end_however_many_short_ones_come() -> None:
    policy = scheduler(batch=200)
    policy.limits_of = share(20)
    long = sequence(0, "z" * 200)
    policy.add(long)
    for number in range(1, 100):
        policy.add(sequence(number, "a" * 20, limit=1))
        advance(policy)
        if long.status is not Status.PREFILL:
            break
    assert number <= 40


def test_a_small_sequence_overtakes_one_for_which_there_is_no_room_but_not_for_ever() -> None:
    policy = scheduler(running=2, cells=300)
    running, big = sequence(0, "h" * 100, limit=150), sequence(1, "z" * 150)
    policy.add(running)
    advance(policy)
    policy.add(big)
    for number in range(2, 40):
        policy.add(sequence(number, "a", limit=1))
    for _ in range(60):
        advance(policy)
    assert big.status is Status.WAITING
    assert policy.stats.num_overtaken == big.num_overtaken == 16
    while not running.is_finished:
        advance(policy)
    advance(policy)
    assert big.status is not Status.WAITING


def test_background_work_waits_for_people_and_gives_its_place_to_them() -> None:
    policy = scheduler(running=1)
    background = sequence(1, "b" * 10, limit=50)
    background.is_background = True
    policy.add(background)
    advance(policy)
    policy.add(sequence(2, person="ada"))
    assert advance(policy).opens
    assert background.status is Status.WAITING
    policy.add(sequence(3, person="bob"))
    assert [s.id for s in policy.waiting] == [3, 1]


@pytest.mark.parametrize("cells", [40, 100])
def test_background_work_gives_up_its_cells_before_people_do(cells: int) -> None:
    policy = scheduler(running=2, cells=cells)
    background = sequence(1, "b" * 4, limit=cells - 10)
    background.is_background = True
    policy.add(background)
    advance(policy)
    asked = sequence(2, "a" * 4, limit=cells - 10, person="ada")
    policy.add(asked)
    advance(policy)
    while not asked.is_finished:
        advance(policy)
        assert asked.status is not Status.WAITING
    while not background.is_finished:
        advance(policy)
    assert background.finish_reason is FinishReason.LENGTH


def test_a_prompt_that_is_only_prefilled_stays_cached_for_its_thread() -> None:
    policy = scheduler()
    warming = sequence(1, "w" * 50, limit=0)
    warming.thread = "t"
    policy.add(warming)
    advance(policy)
    assert warming.finish_reason is FinishReason.LENGTH
    assert warming.num_generated == 0
    assert policy.stats.num_cached_threads == 1


def test_decode_tokens_come_first_and_the_batch_is_never_exceeded() -> None:
    policy = scheduler(batch=8)
    for number in range(3):
        policy.add(sequence(number, "a", limit=50))
    advance(policy)
    policy.add(sequence(9, "z" * 50))
    step = advance(policy)
    assert [len(c.tokens) for c in step.chunks] == [1, 1, 1, 5]


def test_admission_is_fair_to_people_and_not_to_requests() -> None:
    policy = scheduler(running=1)
    for number in range(4):
        policy.add(sequence(number, person="greedy"))
    policy.add(sequence(10, person="patient"))
    policy.add(sequence(11, person="late"))
    assert [s.id for s in policy.waiting] == [0, 10, 11, 1, 2, 3]


def test_somebody_new_is_served_before_the_second_question_of_everybody_else() -> None:
    policy = scheduler(running=1)
    for number in range(3):
        policy.add(sequence(number, person="greedy", limit=1))
    advance(policy)  # greedy's first is done
    advance(policy)  # greedy's second runs
    policy.add(sequence(10, person="newcomer"))
    assert policy.waiting[0].id == 10


def test_the_queue_is_bounded() -> None:
    policy = scheduler(waiting=2)
    policy.add(sequence(1))
    policy.add(sequence(2))
    with pytest.raises(QueueFull) as refusal:
        policy.add(sequence(3), retry_after=7.0)
    assert refusal.value.retry_after == 7.0


def test_a_grammar_of_a_preempted_sequence_is_opened_again_with_its_tokens() -> None:
    policy = scheduler(cells=100)
    constrained = sequence(2, "b" * 10, limit=48)
    constrained.grammar = "start: /[a-z]*/"
    policy.add(sequence(1, "a" * 10, limit=48))
    policy.add(constrained)
    steps = []
    while policy.running or policy.waiting:
        steps.append(advance(policy))
    opened = [a for s in steps for a in s.actions if isinstance(a, Opening) and a.grammar]
    assert policy.stats.num_preempted == 1
    assert [opening.grammar for opening in opened] == ["start: /[a-z]*/"] * 2
    assert opened[0].generated == []
    assert len(opened[1].generated) > 5


def test_a_reply_whose_grammar_allows_no_token_ends_with_an_error() -> None:
    policy = scheduler()
    lost, other = sequence(1), sequence(2)
    policy.add(lost)
    policy.add(other)
    step = policy.plan()
    assert step is not None
    policy.apply(
        step, {lost.held_slot: [NO_TOKEN], other.held_slot: [ord("x")]}, lambda token: token == END
    )
    assert lost.finish_reason is FinishReason.ERROR
    assert (lost.num_generated, other.num_generated) == (0, 1)


@pytest.mark.parametrize("steps_before", [0, 1, 3])
def test_a_finished_sequence_frees_its_slot_in_the_next_step(steps_before: int) -> None:
    policy = scheduler()
    policy.limits_of = share(2)
    cancelled = sequence(1, "abc", limit=50)
    policy.add(cancelled)
    for _ in range(steps_before):
        advance(policy)
    had_slot = cancelled.slot
    policy.finish(cancelled, FinishReason.CANCELLED)
    step = policy.plan()
    assert (step.actions if step else []) == ([] if had_slot is None else [Release(had_slot)])
    assert policy.stats.num_cells_used == 0
    assert cancelled.finish_reason is FinishReason.CANCELLED


def test_a_sequence_cancelled_while_its_step_runs_is_left_out_of_the_result() -> None:
    policy = scheduler()
    doomed, other = sequence(1), sequence(2)
    policy.add(doomed)
    policy.add(other)
    step = policy.plan()
    assert step is not None
    policy.finish(doomed, FinishReason.CANCELLED)
    sampled = {c.slot: [ord("x")] for c in step.chunks}
    assert policy.apply(step, sampled, lambda _t: False) == [other]


def test_when_the_pool_is_full_the_youngest_is_preempted_and_keeps_its_tokens() -> None:
    policy = scheduler(cells=73)
    old, young = sequence(1, "a" * 4, limit=60), sequence(2, "b" * 4, limit=60)
    policy.add(old)
    policy.add(young)
    while policy.stats.num_preempted == 0:
        advance(policy)
    assert young.status is Status.WAITING
    assert old.status is Status.DECODE
    num_generated = young.num_generated
    assert num_generated > 10
    policy.finish(old, FinishReason.STOP)
    step = advance(policy)
    opening = next(a for a in step.actions if isinstance(a, Opening))
    assert opening.generated == [ord("x")] * num_generated
    assert step.chunks[0].start == 0


def test_without_room_the_prefill_is_halved() -> None:
    policy = scheduler()
    policy.add(sequence(1, "a" * 8))
    policy.add(sequence(2, "b" * 8))
    step = policy.plan()
    assert step is not None
    assert policy.undo(step) == []
    assert policy.stats.num_cells_used == 0
    assert advance(policy).num_prefill == step.num_prefill // 2
    policy.add(sequence(3, "c" * 30))
    assert advance(policy).num_prefill > step.num_prefill // 2


def test_a_sequence_without_room_even_alone_fails_and_no_other() -> None:
    policy = scheduler()
    policy.limits_of = share(1)
    lonely, waiting = sequence(1), sequence(2)
    policy.add(lonely)
    advance(policy)
    advance(policy)
    advance(policy)
    step = policy.plan()
    assert step is not None
    policy.add(waiting)
    assert policy.undo(step) == [lonely]
    assert lonely.finish_reason is FinishReason.ERROR
    advance(policy)
    assert waiting.slot is not None
