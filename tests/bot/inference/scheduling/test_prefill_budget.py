from __future__ import annotations

from dataclasses import replace

from bot.inference.core.sequence import Chunk, Step
from bot.inference.scheduling.prefill_budget import PrefillBudget
from bot.inference.scheduling.step_costs import SizeTrial
from bot.inference.scheduling.step_limits import StepLimits


def learnt(
    *, per_token: float, decode: dict[int, float] | None = None, max_tokens: int = 512
) -> PrefillBudget:
    """A budget for which all sizes were measured, and cost the same a token."""
    budget = PrefillBudget(max_tokens)
    for num_replies, seconds in (decode or {}).items():
        budget.observe(step(decode=num_replies), seconds, 500)
    for size in (16, 32, 64, 128, 256, 512):
        budget.observe(step(prefill=size), size * per_token, 500)
    return budget


def step(*, decode: int = 0, prefill: int = 0) -> Step:
    chunks = [Chunk(n, 5, [1], True) for n in range(decode)]
    if prefill:
        chunks.append(Chunk(99, 0, [1] * prefill, False))
    return Step([], chunks)


def test_steps_settle_near_a_tenth_of_a_second_on_slow_and_fast_machines() -> None:
    for per_token in (0.05, 0.002, 0.0001):
        budget = PrefillBudget(512)
        for _ in range(50):
            budget.observe(step(decode=4), 0.02, 500)
            share = budget.limits(4, 500).of_mixed(10_000)
            budget.observe(step(decode=4, prefill=share), 0.02 + share * per_token, 500)
        seconds = 0.02 + budget.limits(4, 500).mixed * per_token
        assert budget.limits(4, 500).mixed in (16, 512) or 0.08 <= seconds <= 0.12


def test_a_short_prompt_may_take_replies_a_little_longer() -> None:
    limits = learnt(per_token=0.004, decode={4: 0.02}).limits(4, 500)
    assert (limits.mixed, limits.short_mixed) == (20, 35)
    assert limits.of_mixed(limits.last_prefill) == limits.short_mixed
    assert limits.of_mixed(limits.last_prefill + 1) == limits.mixed


def test_the_decode_time_is_known_for_each_number_of_replies() -> None:
    """Otherwise a prompt would get next to no tokens while the replies become more."""
    budget = learnt(per_token=0.002, decode={1: 0.009, 16: 0.054})
    assert budget.limits(16, 500).mixed == 23
    assert budget.limits(1, 500).mixed == 45
    assert budget.limits(14, 500).mixed == 26  # from 16, the nearest


def test_a_prompt_without_replies_is_prefilled_in_larger_chunks() -> None:
    limits = learnt(per_token=0.002).limits(0, 500)
    assert (limits.prefill, limits.last_prefill) == (50, 200)
    assert (limits.of_prefill(20), limits.of_prefill(120), limits.of_prefill(900)) == (50, 120, 200)


def test_the_only_prompt_is_prefilled_in_full_batches() -> None:
    limits = learnt(per_token=0.002).limits(0, 500).undisturbed()
    assert (limits.of_prefill(20), limits.of_prefill(900)) == (512, 512)


def test_replies_wait_a_quarter_of_a_second_and_a_second_when_they_have_only_begun() -> None:
    unknown = PrefillBudget(512).limits(4, 500)
    assert (unknown.pause, unknown.young_pause) == (0, 0)
    limits = learnt(per_token=0.002).limits(4, 500)
    assert (limits.pause, limits.young_pause) == (125, 500)


def test_the_share_never_exceeds_the_batch() -> None:
    limits = learnt(per_token=1e-8, max_tokens=128).limits(0, 500)
    assert (limits.mixed, limits.prefill, limits.last_prefill) == (128, 128, 128)


def test_a_batch_that_replies_can_fill_alone_is_budgeted_in_finite_time() -> None:
    assert learnt(per_token=0.01, max_tokens=0).limits(0, 500).prefill > 0


def test_after_too_long_a_delay_steps_are_decode_only_until_it_is_made_good() -> None:
    budget = learnt(per_token=0.002, decode={4: 0.02})
    assert not budget.limits(4, 500).is_owed
    budget.observe(step(decode=4, prefill=200), 0.42, 500)
    assert budget.limits(4, 500).is_owed
    budget.observe(step(decode=4), 0.02, 500)
    assert budget.limits(4, 500).is_owed
    budget.observe(step(decode=4), 0.02, 500)
    assert not budget.limits(4, 500).is_owed


def test_beside_a_long_prompt_replies_keep_more_than_half_of_their_speed() -> None:
    decode, per_token, num_tokens = 0.02, 0.002, 2_000
    budget = learnt(per_token=per_token, decode={4: decode})
    seconds, num_steps, left = 0.0, 0, num_tokens
    while left > 250:
        limits = budget.limits(4, 500)
        share = 0 if limits.owes(left) else limits.of_mixed(left)
        took = decode + share * per_token
        budget.observe(step(decode=4, prefill=share), took, 500)
        seconds, num_steps, left = seconds + took, num_steps + 1, left - share
    assert seconds / num_steps <= 1.95 * decode
    assert seconds <= 2.5 * (num_tokens - left) * per_token


def test_a_short_prompt_owes_less_than_a_long_one() -> None:
    budget = learnt(per_token=0.002, decode={4: 0.02})
    budget.observe(step(decode=4, prefill=60), 0.14, 500)
    limits = budget.limits(4, 500)
    assert (limits.owes(2 * limits.last_prefill), limits.owes(2 * limits.last_prefill + 1)) == (
        False,
        True,
    )


def test_what_is_owed_is_made_good_by_forced_tokens_too() -> None:
    """Each reply gets ten tokens in the time of two steps."""
    budget = learnt(per_token=0.004, decode={4: 0.02})
    budget.observe(step(decode=4, prefill=200), 1.0, 500)
    assert budget.limits(4, 500).is_owed
    forced = Step([], [Chunk(n, 5, [1] * 10, True, is_reply=True) for n in range(4)])
    budget.observe(forced, 0.32, 500)
    assert not budget.limits(4, 500).is_owed


def test_nothing_is_owed_to_replies_that_have_ended() -> None:
    budget = learnt(per_token=0.002, decode={4: 0.02})
    budget.observe(step(decode=4, prefill=200), 0.42, 500)
    assert not budget.limits(0, 500).is_owed
    budget.observe(step(prefill=200), 0.4, 700)
    assert not budget.limits(4, 700).is_owed


def test_asking_changes_nothing() -> None:
    asked, other = PrefillBudget(512), PrefillBudget(512)
    for num_tokens in (64, 200, 0, 40, 512, 0, 0, 20, 300, 64) * 20:
        taken = step(decode=4, prefill=num_tokens)
        seconds = 0.02 + num_tokens * (0.03 if num_tokens < 64 else 0.004)
        for budget in (asked, other):
            budget.observe(taken, seconds, 500)
        for num_replies in (0, 4, 12):
            asked.limits(num_replies, 500)
            asked.limits(num_replies, 9_000)
        assert [asked.limits(n, 500) for n in (4, 1, 0)] == [
            other.limits(n, 500) for n in (4, 1, 0)
        ]


def test_no_prompt_ends_with_a_step_that_is_dear() -> None:
    known = StepLimits(
        mixed=128, short_mixed=128, prefill=128, last_prefill=128, full=512, least=64
    )
    assert [known.of_mixed(n) for n in (120, 150, 180, 192, 900)] == [128, 86, 116, 128, 128]
    known = replace(known, mixed=64, short_mixed=64, prefill=64)
    assert [known.of_mixed(n) for n in (64, 100, 130, 200)] == [64, 100, 64, 64]


def test_a_size_is_tried_in_a_prompt_that_is_longer_than_the_trial() -> None:
    known = StepLimits(
        mixed=64,
        short_mixed=64,
        prefill=64,
        last_prefill=64,
        full=512,
        trials=(SizeTrial(16, 900), SizeTrial(128, 0)),
    )
    assert [known.of_mixed(n) for n in (64, 100, 899, 900)] == [64, 128, 128, 16]
    assert [known.of_prefill(n) for n in (64, 1_000)] == [64, 16]
    assert known.undisturbed().of_prefill(1_000) == 512
    assert known.at_most(30).of_mixed(500) == 30


def test_limits_are_capped_for_a_step_that_had_no_room() -> None:
    known = StepLimits(
        mixed=20, short_mixed=32, prefill=40, last_prefill=160, pause=100, young_pause=400
    )
    assert known.at_most(30) == StepLimits(
        mixed=20, short_mixed=30, prefill=30, last_prefill=30, pause=100, young_pause=400
    )
