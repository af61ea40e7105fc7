"""When a reply's next call is made: its interval, its turn among others, pauses after failures."""

from __future__ import annotations

import random
from dataclasses import replace

from bot.delivery.reply_messages import PlatformCall, SentMessage
from bot.delivery.reply_pace import Backoff, ReplyPace
from bot.limits import Limits, RateRule
from bot.pacing import EditBudget, Urgency
from bot.types import Place
from tests.fakes.clock import FakeClock
from tests.fakes.platform import FakePlatform

PLACE = Place("fake", "W", "C", "t")
EDITS = RateRule(frozenset({"edit"}), "workspace", 2, 60.0)
LIMITS = Limits(max_size=4000, rules=(EDITS,), edit_interval=1.5)
POST = PlatformCall("post", 0)
PLACEHOLDER = PlatformCall("post", 0, is_text=False)
EDIT = PlatformCall("edit", 0, "m")
DELETE = PlatformCall("delete", 0, "m")


class Replies:
    """Paces of replies on one platform, which allows one of them at a time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._budget = EditBudget(LIMITS.rules, self.clock)
        self._platform = FakePlatform(self.clock, LIMITS)

    def begin(self) -> ReplyPace:
        return ReplyPace(self._platform, self._budget, self.clock, PLACE)


def urgency(pace: ReplyPace, call: PlatformCall, *, is_text: bool = True) -> Urgency:
    permit = pace.request(replace(call, is_text=is_text))
    permit.refund()
    return permit.urgency


async def test_growth_goes_behind_a_first_text_and_before_a_place_in_the_queue() -> None:
    pace = Replies().begin()
    assert urgency(pace, EDIT, is_text=False) is Urgency.SPARE
    assert urgency(pace, EDIT) is Urgency.FIRST
    pace.has_text = True
    assert urgency(pace, EDIT) is Urgency.GROWTH


async def test_the_end_of_a_reply_goes_first_and_waits_for_no_interval() -> None:
    replies = Replies()
    pace, message = replies.begin(), SentMessage("m", called_at=replies.clock.monotonic())
    assert pace.not_before(EDIT, message) == message.called_at + 1.5
    pace.finish()
    assert pace.not_before(EDIT, message) < message.called_at
    assert {urgency(pace, call) for call in (POST, EDIT, DELETE)} == {Urgency.FINAL}


async def test_who_was_served_long_ago_goes_before_who_was_served_just_now() -> None:
    replies = Replies()
    early, late = replies.begin(), replies.begin()
    for pace in (early, late):
        permit = pace.request(EDIT)
        pace.serve(permit)
        permit.end()
        await replies.clock.advance(1)
    second, first = late.request(EDIT), early.request(EDIT)
    assert not first.granted.is_set()
    await replies.clock.advance(58.5)
    assert (first.granted.is_set(), second.granted.is_set()) == (True, False)
    await replies.clock.advance(1)
    assert second.granted.is_set()


async def test_a_reply_that_is_over_makes_room_for_the_next_one() -> None:
    replies = Replies()
    pace, other = replies.begin(), replies.begin()
    opened = pace.request(PLACEHOLDER)
    pace.serve(opened)
    opened.end()
    assert urgency(pace, POST) is Urgency.FIRST, "a further message needs no other promise"
    waiting = other.request(PLACEHOLDER)
    assert not waiting.granted.is_set()
    pace.release()
    assert waiting.granted.is_set()


async def test_messages_of_an_earlier_run_are_sure_of_their_last_edit() -> None:
    replies = Replies()
    pace = replies.begin()
    pace.reserve()
    waiting = replies.begin().request(PLACEHOLDER)
    assert not waiting.granted.is_set()
    pace.release()
    assert waiting.granted.is_set()


def pauses(seed: int, num: int) -> list[float]:
    backoff = Backoff(patience=600, rng=random.Random(seed))  # noqa: S311
    found = []
    for _ in range(num):
        backoff.fail(now=100.0)
        found.append(backoff.retry_at - 100.0)
    return found


def test_pauses_double_up_to_half_a_minute_each_shortened_by_less_than_half() -> None:
    for pause, full in zip(pauses(1, 8), (1, 2, 4, 8, 16, 32, 32, 32), strict=True):
        assert full / 2 <= pause <= full


def test_who_failed_together_does_not_come_back_together() -> None:
    assert len({pauses(seed, 1)[0] for seed in range(20)}) == 20
