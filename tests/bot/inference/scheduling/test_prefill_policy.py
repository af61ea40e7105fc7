"""How prompts are cut into steps, on processors that exist as cost functions.

The whole policy runs, the scheduler among it: only the model's time is made up, so that every
run is the same and takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from bot.generation import Sampling
from bot.inference.core.lanes import Lanes, equal_lanes
from bot.inference.core.sequence import Chunk, Status, Step
from bot.inference.core.sequence import Sequence as Request
from bot.inference.scheduling.prefill_budget import PrefillBudget
from bot.inference.scheduling.scheduler import Scheduler
from bot.inference.scheduling.step_costs import StepCosts
from tests.bot.inference.scheduling import processors
from tests.bot.inference.scheduling.processors import (
    AMX_WITH_FLASH,
    EMERALD_RAPIDS,
    EPYC,
    EPYC_WITH_FLASH,
    SEVEN_BILLION,
    SIZES,
    Processor,
)

FULL, RUNNING = 512, 16
_STREAM_CELLS, _REPLY_CELLS = 64 * 8_192, 300
PROMPTS = (931, 2_030, 3_931, 931, 2_031)
"""From a report: prefilled one after another, the fourth took ten times as long as the first."""

Learn = Callable[[PrefillBudget, Processor], None]


class Engine:
    """Plans with the real policy. ``learn`` gives it measurements before it begins.

    ``prefill`` and ``least``: seconds of prefill so far, and with the best sizes.
    """

    def __init__(self, processor: Processor, learn: Learn | None = None, lanes: Lanes = ()) -> None:
        self.budget = PrefillBudget(FULL)
        if learn:
            learn(self.budget, processor)
        self.seconds = 0.0
        self.steps: list[tuple[Step, float]] = []
        self.prefill = self.least = 0.0
        self._processor = processor
        self._numbers = count(1)
        self._policy = Scheduler(
            max_running=RUNNING,
            max_waiting=100,
            num_cells=_STREAM_CELLS if lanes else 16_384,
            max_batch=FULL + RUNNING,
            limits_of=self.budget.limits,
            lanes=lanes,
            window=8_192,
        )

    def ask(self, num_tokens: int, max_tokens: int = 1) -> Request:
        number = next(self._numbers)
        prompt = [number * 100_000 + position for position in range(num_tokens)]
        request = Request(number, f"p{number}", prompt, max_tokens, Sampling())
        self._policy.add(request)
        return request

    def ask_and_wait(self, num_tokens: int) -> float:
        """Ask and run to the end of the answer; the seconds that it took."""
        began = self.seconds
        request = self.ask(num_tokens)
        while not request.is_finished:
            self.step()
        return self.seconds - began

    def step(self) -> None:
        step = self._policy.plan()
        assert step is not None
        num_cells = self.num_cells
        seconds = self.seconds_of(step, num_cells)
        self.budget.observe(step, seconds, num_cells)
        sampled = {chunk.slot: [7] for chunk in step.chunks if chunk.wants_token}
        self._policy.apply(step, sampled, lambda _token: False)
        self.seconds += seconds
        self.steps.append((step, seconds))
        work = step.num_prefill, step.num_decode, num_cells
        self.prefill += self._processor.prefill(*work)
        self.least += self._processor.least(*work)

    @property
    def num_cells(self) -> int:
        return self._policy.stats.num_cells_used

    def seconds_of(self, step: Step, num_cells: int) -> float:
        return self._processor.seconds(step, num_cells)

    def talk(self, num_replies: int, num_tokens: int = 300) -> None:
        """Begin ``num_replies`` long replies."""
        replies = [self.ask(num_tokens, 100_000) for _ in range(num_replies)]
        while any(reply.status is not Status.DECODE for reply in replies):
            self.step()
        for _ in range(5):
            self.step()

    def regret(self, num_tokens: int) -> float:
        """The time of a prefill, as a multiple of the time with the best sizes."""
        before, least = self.prefill, self.least
        self.ask_and_wait(num_tokens)
        return (self.prefill - before) / (self.least - least)


class StreamEngine(Engine):
    """Replies cost attention over their own tokens only, a prompt over its own.

    ``noise``: of the logarithm of what a step takes, its standard deviation.
    """

    def __init__(self, processor: Processor, noise: float = 0.0, seed: int = 0) -> None:
        super().__init__(processor, lanes=equal_lanes(_STREAM_CELLS, RUNNING))
        self._noise, self._random = noise, Random(seed)  # noqa: S311 - the same in every run

    @property
    def num_cells(self) -> int:
        return self._policy.stats.num_cells_attended

    def seconds_of(self, step: Step, num_cells: int) -> float:
        decode = self._processor.decode(step.num_decode, _REPLY_CELLS)
        seconds = decode + self._processor.prefill(step.num_prefill, 0, num_cells)
        return seconds * self._random.lognormvariate(0, self._noise)


def nothing(budget: PrefillBudget, processor: Processor) -> None:
    """Without any measurement."""


def _learn(budget: PrefillBudget, cost: Callable[[int], float]) -> None:
    for size in SIZES:
        step = Step([], [Chunk(0, 0, [1] * size, False)])
        for _ in range(5):
            budget.observe(step, size * cost(size), 1_000)


def slow(budget: PrefillBudget, processor: Processor) -> None:
    """Measured while another program kept the machine busy."""
    _learn(budget, lambda size: 10 * processor.row(size, 0, 1_000))


def fast(budget: PrefillBudget, processor: Processor) -> None:
    """Measured at a tenth of the cost."""
    _learn(budget, lambda size: 0.1 * processor.row(size, 0, 0))


def small_is_cheap(budget: PrefillBudget, processor: Processor) -> None:
    _learn(budget, lambda size: size / 16 * processor.row(64, 0, 0))


def large_is_cheap(budget: PrefillBudget, processor: Processor) -> None:
    _learn(budget, lambda size: 512 / size * processor.row(64, 0, 0))


STARTS = (nothing, slow, fast, small_is_cheap, large_is_cheap)


@pytest.fixture(params=processors.ALL, ids=lambda processor: processor.name)
def processor(request: pytest.FixtureRequest) -> Processor:
    found = request.param
    assert isinstance(found, Processor)
    return found


@pytest.fixture(params=STARTS, ids=lambda learn: learn.__name__)
def learn(request: pytest.FixtureRequest) -> Learn:
    found: Learn = request.param
    return found


def test_a_prompt_alone_costs_no_more_than_with_the_best_size(
    processor: Processor, learn: Learn
) -> None:
    engine = Engine(processor, learn)
    assert max(map(engine.regret, PROMPTS)) <= 1.1


def test_the_only_sequence_gets_full_batches(processor: Processor) -> None:
    engine = Engine(processor, slow)
    engine.ask_and_wait(1_200)
    assert [step.num_prefill for step, _ in engine.steps] == [512, 512, 176]


@pytest.mark.parametrize("num_replies", [1, 4])
def test_a_prompt_beside_replies_costs_hardly_more_than_with_the_best_size(
    processor: Processor, learn: Learn, num_replies: int
) -> None:
    """After a first prompt has corrected the wrong measurements; trials cost something, too.

    A quarter more where that makes steps shorter, or seems to.
    """
    engine = Engine(processor, learn)
    engine.talk(num_replies)
    engine.ask_and_wait(4_000)
    assert max(map(engine.regret, (250, 2_500, 530, 700, 1_030))) <= 1.25


def test_the_very_first_prompts_beside_replies_cost_no_more_either(processor: Processor) -> None:
    engine = Engine(processor)
    engine.talk(4)
    assert max(map(engine.regret, (530, 4_000, 250))) <= 1.1


def test_several_prompts_at_once_cost_no_more_than_with_the_best_size(
    processor: Processor,
) -> None:
    engine = Engine(processor)
    prompts = [engine.ask(num_tokens) for num_tokens in (2_000, 900, 300, 1_500)]
    while not all(prompt.is_finished for prompt in prompts):
        engine.step()
    assert engine.prefill <= 1.1 * engine.least


def test_the_delay_of_long_steps_is_made_good_to_the_replies(
    processor: Processor, learn: Learn
) -> None:
    engine = Engine(processor, learn)
    engine.talk(4)
    engine.ask_and_wait(4_000)
    first, began = len(engine.steps), engine.seconds
    engine.ask_and_wait(4_000)
    steps = engine.steps[first:]
    alone = max((seconds for step, seconds in steps if not step.num_prefill), default=0.0)
    num_tokens = sum(1 for step, _ in steps if step.num_decode)
    assert (engine.seconds - began) / num_tokens <= 1.1 * max(0.16, 2 * alone)


def test_prefill_takes_at_least_a_third_of_the_time(processor: Processor) -> None:
    """Replies do not get all of the time."""
    engine = Engine(processor)
    engine.talk(4)
    began, engine.prefill = engine.seconds, 0.0
    engine.ask_and_wait(2_000)
    assert engine.prefill >= 0.33 * (engine.seconds - began)


def test_where_small_steps_are_dear_next_to_none_are_taken_beside_replies() -> None:
    engine = Engine(AMX_WITH_FLASH)
    engine.talk(4)
    engine.ask_and_wait(4_000)
    first = len(engine.steps)
    engine.ask_and_wait(4_000)
    small = [step.num_prefill for step, _ in engine.steps[first:] if step.num_prefill < 60]
    assert sum(small) <= 32  # tried again: they may be cheap by now


def test_beside_replies_a_prompt_may_cost_a_quarter_more_where_its_steps_are_much_shorter() -> None:
    engine = Engine(EMERALD_RAPIDS)
    engine.ask_and_wait(2_000)
    engine.talk(7)
    first = len(engine.steps)
    assert engine.regret(2_000) <= 1.25
    assert max(seconds for _, seconds in engine.steps[first:]) <= 1.6


@pytest.mark.parametrize("num_tokens", [1_000, 4_000])
@pytest.mark.parametrize(
    ("processor", "most"),
    [(EPYC, 8), (EPYC_WITH_FLASH, 11), (SEVEN_BILLION, 8)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_paste_makes_replies_pause_for_a_few_of_their_steps_and_keep_half_of_their_speed(
    processor: Processor, most: float, num_tokens: int
) -> None:
    """As people ask: one alone, then eight at once, then the paste, and another one."""
    engine = StreamEngine(processor)
    alone = engine.ask_and_wait(num_tokens)
    engine.talk(8, 100)
    decode = engine.steps[-1][1]
    for _ in range(2):
        first, began = len(engine.steps), engine.seconds
        engine.ask_and_wait(num_tokens)
        steps, seconds = engine.steps[first:], engine.seconds - began
        gaps = sorted(took for step, took in steps if step.num_decode)
        assert gaps[int(0.99 * (len(gaps) - 1))] <= most * decode
        assert sum(step.num_decode for step, _ in steps) / 8 * decode >= 0.5 * seconds
        assert seconds <= 4 * alone


@pytest.mark.parametrize("seed", range(4))
def test_on_a_machine_whose_steps_take_now_more_now_less_replies_seldom_pause_for_longer(
    seed: int,
) -> None:
    """The smallest steps were never tried there, or taken for dearer than they are."""
    engine = StreamEngine(EPYC_WITH_FLASH, noise=0.15, seed=seed)
    alone = engine.ask_and_wait(4_000)
    engine.talk(8, 100)
    decode = EPYC_WITH_FLASH.decode(8, _REPLY_CELLS)
    first, began = len(engine.steps), engine.seconds
    engine.ask_and_wait(4_000)
    gaps = sorted(seconds for step, seconds in engine.steps[first:] if step.num_decode)
    assert gaps[int(0.99 * (len(gaps) - 1))] <= 11 * decode
    assert engine.seconds - began <= 4.5 * alone


def test_no_step_that_is_tried_beside_replies_takes_as_long_as_many_of_theirs() -> None:
    engine = StreamEngine(EPYC)
    engine.talk(8, 100)
    decode = engine.steps[-1][1]
    first = len(engine.steps)
    engine.ask_and_wait(2_000)
    engine.ask_and_wait(2_000)
    tried = [step.num_prefill for step, _ in engine.steps[first:]]
    assert 16 in tried
    assert max(seconds for _, seconds in engine.steps[first:]) <= 12 * decode, tried


def test_a_size_that_was_measured_in_the_first_tokens_only_is_not_taken_for_dear_at_depth() -> None:
    """The slope of another size was added in proportion, tenfold: 512 tokens were tried then."""
    measured = [(32, 60, 0.0038), (512, 512, 0.0032), (512, 1_000, 0.0040)]
    costs = _measured(measured)
    assert costs.per_token(32, 1_000) <= 1.5 * costs.per_token(512, 1_000)
    assert costs.economical(32, 1_000, 1.5) == 32


def test_two_noisy_measurements_close_together_say_nothing_of_other_numbers_of_cells() -> None:
    """They made the smallest step seem the dearest at depth, and the longest one cheap before it,
    so that replies were paused for a whole prompt.
    """
    noisy = [(32, 54, 0.0032), (32, 91, 0.0042), (512, 512, 0.0032), (256, 1_000, 0.0040)]
    costs = _measured(noisy)
    assert costs.per_token(32, 704) <= 1.5 * costs.per_token(512, 704)
    assert costs.per_token(512, 91) >= 0.5 * costs.per_token(512, 512)


def _measured(found: list[tuple[int, int, float]]) -> StepCosts:
    """``found``: the size, the cells in use and the seconds a token of each step."""
    costs = StepCosts(FULL)
    for size, num_cells, cost in found:
        costs.observe(Step([], [Chunk(0, 0, [1] * size, False)]), size * cost, num_cells)
    return costs
