"""The allowance of a platform: never exceeded, given in order, shared out over time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import RateLimited
from bot.limits import RateRule, Scope
from bot.pacing import EditBudget, Permit, Urgency
from bot.types import Place
from tests.fakes.clock import FakeClock, settle

PLACE = Place("fake", "W", "C", "t")


def rule(max_calls: int, seconds: float, *methods: str, scope: Scope = "workspace") -> RateRule:
    return RateRule(frozenset(methods or {"edit"}), scope, max_calls, seconds)


class Line:
    """Permits for edits, ended as soon as they are granted unless a test keeps them."""

    def __init__(self, *rules: RateRule) -> None:
        self.clock = FakeClock()
        self.budget = EditBudget(rules, self.clock)

    def ask(
        self,
        urgency: Urgency = Urgency.FINAL,
        method: str = "edit",
        place: Place = PLACE,
        since: float = 0.0,
    ) -> Permit:
        return self.budget.request(method, place, "m", urgency=urgency, since=since)

    def take(self, number: int) -> None:
        for _ in range(number):
            permit = self.ask()
            assert permit.granted.is_set()
            permit.end()


async def test_a_call_counts_until_its_window_has_passed_since_its_end() -> None:
    line = Line(rule(2, 60))
    slow, quick = line.ask(), line.ask()
    quick.end()
    await line.clock.advance(30)
    slow.end()
    waiting = line.ask()
    assert not waiting.granted.is_set()
    await line.clock.advance(30.2)
    assert waiting.granted.is_set()
    other = line.ask()
    await line.clock.advance(29)
    assert not other.granted.is_set()
    await line.clock.advance(1)
    assert other.granted.is_set()


async def test_a_call_that_was_never_made_is_given_back() -> None:
    line = Line(rule(1, 60))
    line.ask().refund()
    assert line.ask().granted.is_set()


async def test_who_leaves_the_line_holds_nobody_up() -> None:
    line = Line(rule(1, 60))
    line.take(1)
    first, second = line.ask(), line.ask()
    first.end()
    await line.clock.advance(60.2)
    assert second.granted.is_set()
    assert not first.granted.is_set()


async def test_a_final_goes_before_growth_and_growth_to_who_was_served_least_recently() -> None:
    line = Line(rule(1, 10))
    line.take(1)
    late = line.ask(Urgency.GROWTH, since=9.0)
    early = line.ask(Urgency.GROWTH, since=1.0)
    final = line.ask(Urgency.FINAL, since=20.0)
    order = []
    for _ in range(3):
        await line.clock.advance(10.2)
        (granted,) = [t for t in (late, early, final) if t.granted.is_set() and t not in order]
        order.append(granted)
        granted.end()
    assert order == [final, early, late]


async def test_growth_leaves_the_promised_last_edits_untouched() -> None:
    line = Line(rule(10, 60))
    for _ in range(4):
        line.budget.reserve(PLACE)
    line.take(6)
    assert not line.ask(Urgency.GROWTH).granted.is_set()
    line.take(4)


async def test_a_reply_opens_only_if_its_last_edit_can_be_promised() -> None:
    line = Line(rule(10, 60))
    opened = [line.ask(Urgency.OPEN, "post") for _ in range(10)]
    assert sum(permit.granted.is_set() for permit in opened) == 8
    line.budget.release(PLACE)
    assert sum(permit.granted.is_set() for permit in opened) == 9


async def test_growth_leaves_the_last_edits_of_replies_that_are_about_to_open() -> None:
    line = Line(rule(10, 60), RateRule(frozenset({"post"}), "channel", 1, 1.0))
    opening = [line.ask(Urgency.OPEN, "post") for _ in range(8)]
    growth = [line.ask(Urgency.GROWTH) for _ in range(3)]
    assert sum(permit.granted.is_set() for permit in growth) == 1
    for permit in opening:
        if not permit.granted.is_set():
            permit.end()
    assert sum(permit.granted.is_set() for permit in growth) == 3


async def test_a_reply_does_not_open_while_the_edits_are_used_up() -> None:
    line = Line(rule(10, 60))
    line.take(10)
    opening = line.ask(Urgency.OPEN, "post")
    assert not opening.granted.is_set()
    await line.clock.advance(61)
    assert opening.granted.is_set()


async def test_queue_places_move_only_while_most_of_the_allowance_is_free() -> None:
    line = Line(rule(9, 60))
    line.take(2)
    line.ask(Urgency.SPARE).end()
    assert not line.ask(Urgency.SPARE).granted.is_set()
    assert line.ask(Urgency.FIRST).granted.is_set()


async def test_scopes_do_not_hold_each_other_up() -> None:
    line = Line(rule(1, 60, "post", scope="channel"))
    elsewhere = Place("fake", "W", "C2", "t")
    assert line.ask(method="post").granted.is_set()
    assert not line.ask(method="post").granted.is_set()
    assert line.ask(method="post", place=elsewhere).granted.is_set()
    assert line.ask(method="edit").granted.is_set()


async def test_retry_after_holds_the_method_for_everybody_even_without_a_rule() -> None:
    line = Line()
    with pytest.raises(RateLimited):
        async with line.budget.call("edit", PLACE, "m"):
            raise RateLimited("edit", 5.0)
    waiting = line.ask()
    await line.clock.advance(4.9)
    assert not waiting.granted.is_set()
    assert line.ask(method="post").granted.is_set()
    await line.clock.advance(0.2)
    assert waiting.granted.is_set()


async def test_a_rule_of_no_seconds_means_one_call_at_a_time() -> None:
    line = Line(rule(1, 0.0, "edit", "post", scope="channel"))
    first, second = line.ask(), line.ask(Urgency.GROWTH, "post")
    assert first.granted.is_set()
    assert not second.granted.is_set()
    first.end()
    assert second.granted.is_set()


async def test_a_cancelled_wait_gives_its_place_away() -> None:
    line = Line(rule(1, 10))
    line.take(1)

    async def call() -> None:
        async with line.budget.call("edit", PLACE):
            raise AssertionError("it was cancelled before")

    calling = asyncio.create_task(call())
    await settle()
    calling.cancel()
    next_one = line.ask()
    await line.clock.advance(10.2)
    assert next_one.granted.is_set()


async def test_idle_windows_are_forgotten() -> None:
    line = Line(rule(1, 1, "post", scope="channel"))
    for number in range(1000):
        line.ask(method="post", place=Place("fake", "W", f"C{number}", "t")).end()
        await line.clock.advance(0.01)
    assert len(line.budget._windows) < 300


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Urgency.FINAL, Urgency.FIRST, Urgency.GROWTH, Urgency.SPARE]),
            st.floats(0, 20),  # asked after
            st.floats(0, 5),  # the call lasts
            st.floats(0, 1),  # and arrives after this share of it
        ),
        max_size=15,
    ),
    st.integers(1, 6),
    st.floats(1, 30),
)
@settings(max_examples=25, deadline=None)
def test_no_window_of_the_platform_ever_holds_too_many_arrivals(
    calls: list[tuple[Urgency, float, float, float]], max_calls: int, seconds: float
) -> None:
    async def main() -> None:
        line = Line(rule(max_calls, seconds))
        arrivals: list[float] = []

        async def call(urgency: Urgency, after: float, lasts: float, share: float) -> None:
            await line.clock.sleep(after)
            async with line.budget.call("edit", PLACE, urgency=urgency):
                await line.clock.sleep(lasts * share)
                arrivals.append(line.clock.monotonic())
                await line.clock.sleep(lasts * (1 - share))

        tasks = [asyncio.create_task(call(*each)) for each in calls]
        await line.clock.advance(600)
        assert all(task.done() for task in tasks)
        arrivals.sort()
        for first, later in zip(arrivals, arrivals[max_calls:], strict=False):
            assert later - first > seconds

    asyncio.run(main())
