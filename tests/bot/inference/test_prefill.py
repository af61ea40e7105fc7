from __future__ import annotations

from bot.inference.prefill import PrefillBudget, StepLimits
from bot.inference.sequence import Chunk, Step


def step(*, decode: int = 0, prefill: int = 0) -> Step:
    chunks = [Chunk(n, 5, [1], True) for n in range(decode)]
    if prefill:
        chunks.append(Chunk(99, 0, [1] * prefill, False))
    return Step([], chunks)


def test_steps_settle_near_a_tenth_of_a_second_on_slow_and_fast_machines() -> None:
    for per_token in (0.05, 0.002, 0.0001):
        budget = PrefillBudget(512)
        for _ in range(50):
            budget.observe(step(decode=4), 0.02)
            share = budget.limits(4).beside
            budget.observe(step(decode=4, prefill=share), 0.02 + share * per_token)
        share = budget.limits(4).beside
        seconds = 0.02 + share * per_token
        assert share in (16, 512) or 0.08 <= seconds <= 0.12


def test_a_short_prompt_may_take_replies_a_little_longer() -> None:
    budget = PrefillBudget(512)
    for _ in range(30):
        budget.observe(step(decode=4), 0.02)
        budget.observe(step(decode=4, prefill=20), 0.02 + 20 * 0.004)
    limits = budget.limits(4)
    assert (limits.beside, limits.short_beside) == (20, 35)
    assert limits.of_both(limits.alone) == limits.short_beside
    assert limits.of_both(limits.alone + 1) == limits.beside


def test_how_long_replies_take_is_known_for_each_number_of_them() -> None:
    """Or else a prompt would get next to nothing while the replies become more."""
    budget = PrefillBudget(512)
    budget.observe(step(decode=1), 0.009)
    budget.observe(step(decode=16), 0.054)
    for _ in range(30):
        budget.observe(step(decode=16, prefill=20), 0.054 + 20 * 0.002)
    assert budget.limits(16).beside == 23
    assert budget.limits(1).beside == 45
    assert budget.limits(14).beside == 26  # from 16, the nearest


def test_a_prompt_alone_is_read_in_larger_chunks() -> None:
    budget = PrefillBudget(512)
    budget.observe(step(prefill=64), 64 * 0.002)
    limits = budget.limits(0)
    assert (limits.enough, limits.alone) == (50, 200)
    assert (limits.of_prompts(20), limits.of_prompts(120), limits.of_prompts(900)) == (50, 120, 200)


def test_replies_wait_a_quarter_of_a_second_and_a_second_when_they_have_only_begun() -> None:
    budget = PrefillBudget(512)
    assert (budget.limits(4).whole, budget.limits(4).hold) == (0, 0)
    budget.observe(step(prefill=64), 64 * 0.002)
    assert (budget.limits(4).whole, budget.limits(4).hold) == (125, 500)


def test_the_share_never_exceeds_the_batch() -> None:
    budget = PrefillBudget(128)
    budget.observe(step(prefill=64), 0.000_001)
    limits = budget.limits(0)
    assert (limits.beside, limits.enough, limits.alone) == (128, 128, 128)


def test_a_step_beside_replies_stays_below_the_size_at_which_attention_gets_dearer() -> None:
    budget = PrefillBudget(512)
    for _ in range(30):
        budget.observe(step(decode=8), 0.02)
        budget.observe(step(decode=8, prefill=50), 0.02 + 50 * 0.001)
    assert budget.limits(8).beside + 8 == 63
    assert budget.limits(0).alone > 200


def test_a_step_without_room_is_tried_again_with_less() -> None:
    known = StepLimits(beside=20, short_beside=32, enough=40, alone=160, whole=100, hold=400)
    assert known.at_most(30) == StepLimits(
        beside=20, short_beside=30, enough=30, alone=30, whole=100, hold=400
    )
