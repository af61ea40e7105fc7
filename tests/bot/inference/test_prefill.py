from __future__ import annotations

from bot.inference.prefill import PrefillBudget
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
            share = budget.tokens(4)
            budget.observe(step(decode=4, prefill=share), 0.02 + share * per_token)
        seconds = 0.02 + budget.tokens(4) * per_token
        assert budget.tokens(4) in (16, 512) or 0.08 <= seconds <= 0.12


def test_nobody_reading_means_larger_chunks() -> None:
    budget = PrefillBudget(512)
    budget.observe(step(prefill=64), 64 * 0.002)
    assert budget.tokens(0) > budget.tokens(1)


def test_the_share_never_exceeds_the_batch() -> None:
    budget = PrefillBudget(128)
    budget.observe(step(prefill=64), 0.000_001)
    assert budget.tokens(0) == 128


def test_a_step_beside_replies_stays_below_the_size_at_which_attention_gets_dearer() -> None:
    budget = PrefillBudget(512)
    for _ in range(30):
        budget.observe(step(decode=8), 0.02)
        budget.observe(step(decode=8, prefill=50), 0.02 + 50 * 0.001)
    assert budget.tokens(8) + 8 == 63
    assert budget.tokens(0) > 200
