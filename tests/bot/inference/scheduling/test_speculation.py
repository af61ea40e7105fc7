"""How many proposed tokens a step evaluates: as many as pay at the load of the moment."""

from __future__ import annotations

import random

import pytest

from bot.generation import Sampling
from bot.inference.core.sequence import Chunk, Sequence, Step
from bot.inference.scheduling.speculation import MAX_DRAFT, Speculation

LENGTH = 300


class Oracle:
    """Proposes tokens of which the reply says each with the chance ``accepted``."""

    def __init__(self, accepted: dict[int, float]) -> None:
        self.accepted = accepted
        self.random = random.Random(1)  # noqa: S311

    def propose(self, sequence: Sequence, max_tokens: int) -> list[int]:
        chance = self.accepted[sequence.id]
        start = len(sequence.tokens)
        return [
            start + number if self.random.random() < chance else -1
            for number in range(max_tokens if chance else 0)
        ]

    def forget(self, sequence: Sequence) -> None:
        pass


class Machine:
    """Replies that say 0, 1, 2 and so on, on a machine with these costs, in seconds."""

    def __init__(
        self,
        *accepted: float,
        step: float = 0.01,
        row: float = 0.0025,
        more: float = 0.0,
        length: int = LENGTH,
    ) -> None:
        """``more``: for each further pass over the weights, where drafts differ in length."""
        self.step, self.row, self.more = step, row, more
        self.oracle = Oracle(dict(enumerate(accepted)))
        self.speculation = Speculation(self.oracle, lambda _num_replies: self.step)
        self.replies = [Sequence(n, "ada", [0], length, Sampling()) for n in range(len(accepted))]
        for slot, reply in enumerate(self.replies):
            reply.slot = slot
        self.sizes: list[list[int]] = []

    def run(self, num_tokens: int) -> float:
        """Until a reply has said so many more tokens; how much faster all were than without."""
        before = sum(len(reply.tokens) for reply in self.replies)
        seconds, until = 0.0, max(len(reply.tokens) for reply in self.replies) + num_tokens
        while max(len(reply.tokens) for reply in self.replies) < until:
            seconds += self.advance()
        num_said = sum(len(reply.tokens) for reply in self.replies) - before
        return num_said / len(self.replies) * self.step / seconds

    def advance(self) -> float:
        drafts = self.speculation.drafts(self.replies, 500)
        self.sizes.append([len(drafts.get(slot, [])) for slot in range(len(self.replies))])
        chunks = []
        for slot, reply in enumerate(self.replies):
            start, draft = len(reply.tokens), drafts.get(slot, [])
            chunks.append(Chunk(slot, start - 1, reply.tokens[-1:], True, draft=draft))
            said = [start + number for number in range(len(draft) + 1)]
            num_right = chunks[-1].num_accepted(said)
            reply.tokens += said[: num_right + 1]
        step = Step([], chunks)
        num_passes = len({len(chunk.draft) for chunk in chunks})
        seconds = self.step + self.row * step.num_draft + self.more * (num_passes - 1)
        self.speculation.observe(step, seconds)
        return seconds


def test_a_reply_that_is_foreseen_is_several_times_as_fast() -> None:
    machine = Machine(1.0)
    assert machine.run(LENGTH // 2) > 2.5
    assert machine.sizes[-1] == [MAX_DRAFT]


def test_a_size_is_tried_after_the_one_below_it_was_measured() -> None:
    machine = Machine(1.0, step=0.0)
    for _ in range(30):
        machine.advance()
    machine.step = 0.01
    for size in (1, 3, 7, 15):
        machine.advance()
        assert machine.sizes[-1] == [size]


def test_what_was_right_after_a_wrong_guess_does_not_count() -> None:
    machine = Machine(1.0)
    (reply,) = machine.replies
    for _ in range(30):
        assert machine.speculation.drafts([reply], 500) == {}
        start = len(reply.tokens)
        reply.tokens += [-1, *range(start + 1, start + 8)]


@pytest.mark.parametrize("accepted", [0.0, 0.05, 0.1, 0.2])
def test_prose_that_nobody_foresees_is_not_slowed_down(accepted: float) -> None:
    machine = Machine(accepted, length=3_000)
    assert machine.run(2_000) >= 0.98
    assert sum(size > 0 for (size,) in machine.sizes) < len(machine.sizes) / 20


def test_drafts_end_within_a_few_tokens_of_being_wrong_and_begin_again_once_they_are_right() -> (
    None
):
    machine = Machine(1.0, length=3_000)
    machine.run(100)
    machine.oracle.accepted[0] = 1e-9
    del machine.sizes[:]
    machine.run(50)
    assert sum(size > 0 for (size,) in machine.sizes) < 15
    assert not any(size for (size,) in machine.sizes[-30:])
    machine.oracle.accepted[0] = 1.0
    assert machine.run(200) > 1.5


def test_where_a_token_of_a_draft_costs_as_much_as_a_step_there_are_hardly_any() -> None:
    machine = Machine(0.9, row=0.01, length=3_000)
    assert machine.run(2_000) >= 0.98
    assert sum(size > 0 for (size,) in machine.sizes) < len(machine.sizes) / 10


def test_a_machine_that_was_slow_for_a_moment_is_tried_again() -> None:
    machine = Machine(1.0, length=3_000)
    machine.row = 0.02
    machine.run(200)
    assert machine.sizes[-1] == [0]
    machine.row = 0.001
    machine.run(500)
    assert machine.sizes[-1] == [MAX_DRAFT]


def test_beside_many_replies_only_the_surest_have_drafts() -> None:
    """A step of eight takes three times that of one, so a token of each is cheap already."""
    unsure = Machine(*[0.6] * 8, step=0.03, row=0.003)
    unsure.run(LENGTH // 2)
    assert sum(sum(sizes) for sizes in unsure.sizes) < len(unsure.sizes)
    sure = Machine(*[0.98] * 8, step=0.03, row=0.002)
    assert sure.run(LENGTH // 2) > 1.2


def test_one_draft_takes_at_most_a_quarter_of_a_step_from_the_others() -> None:
    machine = Machine(1.0, *[0.0] * 3, step=0.02, row=0.001)
    machine.run(LENGTH // 2)
    assert 2 < max(sizes[0] for sizes in machine.sizes) <= 5


def test_replies_that_are_all_foreseen_have_drafts_of_one_length() -> None:
    """With streams a draft of one of them would take a pass over the weights of its own."""
    machine = Machine(1.0, 1.0, step=0.028, row=0.008, more=0.012)
    assert machine.run(LENGTH // 2) > 1.35
    assert machine.sizes[-5:] == [[3, 3]] * 5
    alone = Machine(1.0, 0.0, step=0.028, row=0.008, more=0.012, length=3_000)
    assert alone.run(2_000) >= 0.98


def test_what_drafts_cost_a_reply_alone_says_nothing_of_several() -> None:
    machine = Machine(1.0, 1.0, step=0.02, row=0.001)
    both, machine.replies = machine.replies, machine.replies[:1]
    machine.run(LENGTH // 2)
    assert machine.sizes[-1] == [15]
    machine.replies = both
    machine.advance()
    assert machine.sizes[-1][0] == 1


def test_a_step_that_evaluates_forced_tokens_too_says_nothing_of_drafts() -> None:
    machine = Machine(1.0)
    machine.run(LENGTH // 3)
    forced = Chunk(0, 0, [1, 2, 3], True, is_reply=True, draft=[4] * MAX_DRAFT)
    machine.speculation.observe(Step([], [forced]), 10.0)
    machine.advance()
    assert machine.sizes[-1] == [MAX_DRAFT]


def test_where_there_is_little_room_the_most_promising_has_it() -> None:
    machine = Machine(0.97, 1.0, step=0.02, row=0.001)
    machine.run(LENGTH // 3)
    found = machine.speculation.drafts(machine.replies, 16)
    assert {slot: len(draft) for slot, draft in found.items()} == {1: MAX_DRAFT}


def test_a_step_of_many_drafts_stays_short_and_keeps_few_logits() -> None:
    machine = Machine(*[1.0] * 4, step=0.02, row=0.004)
    machine.run(LENGTH // 2)
    assert 8 <= max(map(sum, machine.sizes)) <= 20
    machine = Machine(*[1.0] * 4, step=0.02, row=0.001)
    machine.run(LENGTH // 2)
    assert 24 <= max(map(sum, machine.sizes)) <= 32


def test_nothing_is_drafted_beyond_the_longest_reply_or_before_a_step_was_measured() -> None:
    machine = Machine(1.0, length=20)
    machine.run(19)
    assert machine.replies[0].num_generated == 20
    machine = Machine(1.0, step=0.0)
    assert machine.speculation.drafts(machine.replies, 500) == {}
