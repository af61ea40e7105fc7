"""The scheduler evaluates what grammars force upon replies within the limits of a step."""

from __future__ import annotations

import pytest

from bot.generation import FinishReason
from bot.inference.core.sequence import NO_TOKEN, Forced, Sequence, Step
from bot.inference.scheduling.scheduler import Scheduler
from tests.bot.inference.scheduling.test_scheduler import advance, scheduler, sequence, share
from tests.fakes.model import END


def forced(policy: Scheduler, letters: str, *, number: int = 1, limit: int = 500) -> Sequence:
    """A reply that has said ``x``, and must say ``letters``."""
    reply = sequence(number, limit=limit)
    policy.add(reply)
    sample(policy, reply, [*map(ord, letters)])
    return reply


def sample(policy: Scheduler, reply: Sequence, letters: list[int]) -> None:
    """A step in which all replies say ``x``, and these must follow in one of them."""
    step = policy.plan()
    assert step is not None
    sampled = {c.slot: [ord("x")] for c in step.chunks if c.wants_token}
    sampled[reply.held_slot] += map(Forced, letters)
    policy.apply(step, sampled, lambda token: token == END)


def of(step: Step, reply: Sequence) -> str:
    return "".join(chr(t) for c in step.chunks if c.slot == reply.slot for t in c.tokens)


def test_forced_tokens_are_evaluated_with_the_one_before_them() -> None:
    policy = scheduler()
    reply = forced(policy, "abc")
    step = policy.plan()
    assert step is not None
    assert of(step, reply) == "xabc"
    assert (step.num_decode, step.num_forced, step.num_prefill) == (1, 3, 3)


def test_a_long_run_is_evaluated_in_the_shares_of_a_prompt_and_then_goes_on() -> None:
    policy = scheduler()
    reply = forced(policy, "a" * 20)
    policy.limits_of = share(8)
    steps = [advance(policy, "y") for _ in range(4)]
    assert [of(step, reply) for step in steps] == ["x" + 8 * "a", 9 * "a", 3 * "a", "y"]
    assert [step.chunks[0].wants_token for step in steps] == [False, False, True, True]


def test_a_step_never_holds_more_than_its_batch_and_every_reply_goes_on() -> None:
    policy = scheduler(batch=16)
    replies = [forced(policy, "a" * 40, number=n) for n in range(4)]
    step = advance(policy)
    assert sum(len(chunk.tokens) for chunk in step.chunks) == 16
    assert all(of(step, reply) for reply in replies)


def test_a_newcomer_is_not_kept_waiting_by_what_is_forced_upon_another() -> None:
    policy = scheduler()
    reply = forced(policy, "a" * 400)
    policy.limits_of = share(16)
    newcomer = sequence(2, "b" * 32)
    policy.add(newcomer)
    steps = [advance(policy) for _ in range(4)]
    assert [len(of(step, reply)) for step in steps] == [17] * 4
    assert newcomer.num_generated == 3


def test_forced_tokens_take_only_cells_that_are_free() -> None:
    policy = scheduler(cells=60)
    other = sequence(2, "b" * 4, limit=50)
    policy.add(other)
    reply = forced(policy, "a" * 100, limit=60)
    while not (other.is_finished and reply.is_finished):
        advance(policy)
        assert policy.stats.num_cells_used <= 60
    assert other.finish_reason is reply.finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("last", "reason"), [(END, FinishReason.STOP), (NO_TOKEN, FinishReason.ERROR)]
)
def test_nothing_is_taken_after_the_end_of_a_reply(last: int, reason: FinishReason) -> None:
    policy = scheduler()
    reply = sequence(1)
    policy.add(reply)
    sample(policy, reply, [ord("a"), last, ord("b")])
    assert bytes(reply.tokens[reply.num_prompt :]) == b"xa"
    assert reply.finish_reason is reason
