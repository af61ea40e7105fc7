"""When a draft model is asked: as often as it pays, all that it computes included."""

from __future__ import annotations

import random

import pytest

from bot.generation import Sampling
from bot.inference.core.sequence import Chunk, Sequence, Step
from bot.inference.scheduling.model_drafts import ModelDrafts
from bot.inference.scheduling.speculation import MAX_ROWS, DraftCosts

PROMPT = 100


class Machine:
    """Replies that say 0, 1, 2 and so on, and a draft model that knows each with such a chance.

    Costs in seconds: ``step`` of the model with all replies, ``row`` of a draft's token in it,
    ``draft`` of the draft model's step, ``read`` of each token that it reads, ``piece`` at once.
    """

    def __init__(
        self,
        *accepted: float,
        step: float = 0.1,
        row: float = 0.01,
        draft: float = 0.01,
        read: float = 0.001,
        num_prompt: int = PROMPT,
    ) -> None:
        self.step, self.row, self.draft, self.read = step, row, draft, read
        self.accepted, self.num_prompt = list(accepted), num_prompt
        self.random = random.Random(1)  # noqa: S311
        self.costs = DraftCosts(lambda _num_replies: self.step)
        self.policy = ModelDrafts(self.costs)
        self.replies: list[Sequence] = []
        self.num_read: dict[int, int] = {}
        self.sizes: list[list[int]] = []
        for slot in range(len(accepted)):
            self.begin(slot)

    def begin(self, slot: int, length: int = 5_000) -> None:
        """A new reply in the slot."""
        del self.replies[slot : slot + 1]
        number = len(self.num_read)
        self.num_read[number] = 0
        reply = Sequence(number, "ada", [*range(self.num_prompt)], length, Sampling())
        reply.slot = slot
        self.replies.insert(slot, reply)

    def run(self, num_steps: int) -> float:
        """How much faster all replies were than without a draft model."""
        before = sum(len(reply.tokens) for reply in self.replies)
        seconds = sum(self.advance() for _ in range(num_steps))
        num_said = sum(len(reply.tokens) for reply in self.replies) - before
        return num_said / len(self.replies) * self.step / seconds

    def advance(self) -> float:
        requests = self.policy.requests(self.replies, len(self.replies), 0, 500)
        self.sizes.append([r.num_tokens if (r := requests.get(s)) else 0 for s in self.slots])
        chunks, spent = [], 0.0
        for slot, reply in enumerate(self.replies):
            start, request = len(reply.tokens), requests.get(slot)
            draft = request.draft if request else []
            if request:
                missing = start - self.num_read[reply.id]
                request.num_caught_up = min(64, missing)
                self.num_read[reply.id] += request.num_caught_up
                request.num_evaluated = self.num_read[reply.id]
                spent += self.read * request.num_caught_up
                if missing <= 64:
                    draft += self.guesses(start, self.accepted[slot], request.num_tokens)
            chunks.append(Chunk(slot, start - 1, reply.tokens[-1:], True, False, draft, request))
            said = [start + number for number in range(len(draft) + 1)]
            reply.tokens += said[: chunks[-1].num_accepted(said) + 1]
        step = Step([], chunks)
        spent += self.draft * max(len(chunk.draft) for chunk in chunks)
        for request in step.requests:
            request.seconds = spent / len(step.requests)
        self.costs.observe(step, self.step + self.row * step.num_draft)
        self.policy.observe(step)
        return self.step + self.row * step.num_draft + spent

    @property
    def slots(self) -> range:
        return range(len(self.replies))

    def guesses(self, start: int, chance: float, num: int) -> list[int]:
        return [start + n if self.random.random() < chance else -1 for n in range(num)]


def test_what_a_good_draft_model_foresees_comes_at_twice_the_speed() -> None:
    machine = Machine(0.9)
    assert machine.run(200) > 2
    assert max(machine.sizes[-1]) >= 4


@pytest.mark.parametrize("accepted", [0.0, 0.1, 0.2])
def test_a_bad_draft_model_costs_next_to_nothing(accepted: float) -> None:
    machine = Machine(accepted)
    assert machine.run(2_000) >= 0.98
    assert sum(size > 0 for (size,) in machine.sizes) < len(machine.sizes) / 10


def test_what_some_replies_taught_holds_for_the_next_ones() -> None:
    machine = Machine(0.1)
    machine.run(1_000)
    speeds = []
    for _ in range(20):
        machine.begin(0)
        speeds.append(machine.run(50))
    assert sum(speeds) / len(speeds) > 0.98


def test_a_draft_model_that_was_bad_is_tried_again() -> None:
    machine = Machine(0.0)
    machine.run(200)
    assert machine.sizes[-100:].count([0]) > 90
    machine.accepted = [1.0]
    for _ in range(2):
        machine.begin(0)
        machine.run(200)
    assert machine.run(50) > 2


def test_a_reply_that_nobody_foresaw_is_tried_again() -> None:
    machine = Machine(0.0)
    machine.run(200)
    machine.accepted = [1.0]
    machine.run(150)
    assert machine.run(50) > 2


def test_a_draft_model_that_is_as_slow_as_the_model_is_hardly_asked_until_it_is_faster() -> None:
    machine = Machine(0.9, draft=0.1)
    assert machine.run(1_000) >= 0.98
    assert sum(size > 0 for (size,) in machine.sizes) < len(machine.sizes) / 50
    machine.draft = 0.01
    for _ in range(6):
        machine.begin(0)
        machine.run(200)
    assert machine.run(50) > 2


@pytest.mark.parametrize(("num_prompt", "read", "length"), [(2_000, 0.001, 20), (300, 0.007, 60)])
def test_a_long_thread_is_not_read_for_a_short_answer(
    num_prompt: int, read: float, length: int
) -> None:
    machine = Machine(0.7, read=read)
    machine.run(100)
    machine.num_prompt = num_prompt
    machine.begin(0, length=length)
    machine.run(10)
    assert machine.sizes[-10:] == [[0]] * 10
    machine.begin(0)
    machine.run(1)
    assert machine.sizes[-1] != [0]


def test_nothing_is_asked_before_a_step_was_measured_or_beyond_the_longest_reply() -> None:
    machine = Machine(1.0, step=0.0)
    assert machine.policy.requests(machine.replies, 1, 0, 500) == {}
    machine = Machine(1.0)
    machine.run(100)
    machine.begin(0, length=15)
    while (left := 15 - machine.replies[0].num_generated) > 0:
        machine.advance()
        assert machine.sizes[-1][0] <= left - 1
    assert left == 0


def test_replies_without_drafts_are_delayed_by_no_more_than_the_share_of_the_others() -> None:
    machine = Machine(1.0, 0.0, 0.0, 0.0, row=0.004)
    machine.run(300)
    asked, *others = machine.sizes[-1]
    assert asked
    assert others == [0, 0, 0]
    assert asked * (machine.row + machine.draft) <= machine.step / 4


def test_many_replies_are_drafted_together_where_that_pays() -> None:
    machine = Machine(*[0.95] * 4, row=0.004)
    assert machine.run(300) > 1.5
    assert all(machine.sizes[-1])


def test_drafts_of_the_lookup_leave_less_room() -> None:
    machine = Machine(1.0, 1.0)
    machine.run(100)
    assert sum(r.num_tokens for r in machine.policy.requests(machine.replies, 2, 0, 500).values())
    assert machine.policy.requests(machine.replies, 2, MAX_ROWS, 500) == {}
    assert machine.policy.requests(machine.replies, 2, 0, 0) == {}
