"""Twenty people at once on a workspace limited to 50 edits a minute, and one person alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise

from bot.limits import Limits, RateRule
from bot.pacing import EditBudget
from bot.reply import ReplyEditor
from bot.types import Place
from tests.fakes.clock import FakeClock
from tests.fakes.platform import Call, RichFakePlatform

POSTS = RateRule(frozenset({"post"}), "channel", 1, 1.0)
EDITS = RateRule(frozenset({"edit"}), "workspace", 50, 60.0)
REACTIONS = RateRule(frozenset({"react", "unreact"}), "workspace", 50, 60.0)
LIMITS = Limits(max_size=4000, rules=(POSTS, EDITS, REACTIONS))


def place(number: int, channel: str | None = None) -> Place:
    return Place("fake", "W", channel or f"C{number}", f"t{number}")


class Workspace:
    """People who ask; each reply grows by a word every fifth of a second."""

    def __init__(self, latency: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = FakeClock()
        self.platform = RichFakePlatform(self.clock, LIMITS, latency=latency)
        self.budget = EditBudget(LIMITS.rules, self.clock)
        self.ended_at: dict[str, float] = {}
        self.delivered_at: dict[str, float] = {}

    async def ask(self, where: Place, *, seconds: float, after: float = 0.0) -> None:
        await self.clock.sleep(after)
        editor = ReplyEditor(
            self.platform,
            self.budget,
            self.clock,
            place=where,
            turn_id=where.thread,
            record=_nowhere,
            question_id=f"q-{where.thread}",
            later=asyncio.ensure_future,
        )
        async with editor:
            editor.show_placeholder("Thinking…")
            text = where.thread
            until = self.clock.monotonic() + seconds
            while self.clock.monotonic() < until:
                await self.clock.sleep(0.2)
                text += " word"
                editor.show(text)
            self.ended_at[where.thread] = self.clock.monotonic()
            await editor.finish(text + " end.")
            self.delivered_at[where.thread] = self.clock.monotonic()

    def delays(self) -> list[float]:
        return [self.delivered_at[key] - self.ended_at[key] for key in self.ended_at]

    def texts_shown(self, where: Place) -> list[Call]:
        """What people saw grow: not the placeholder, and not the last edit."""
        calls = [call for call in self.platform.made("post", "edit") if call.place == where]
        return [call for call in calls if "Thinking" not in call.text and "end." not in call.text]


async def _nowhere(part: int, message_id: str | None) -> None: ...


async def run(workspace: Workspace, *asking: asyncio.Task[None], seconds: float) -> None:
    await workspace.clock.advance(seconds)
    await asyncio.gather(*asking)


async def test_twenty_replies_share_fifty_edits_a_minute_without_one_call_too_many() -> None:
    workspace = Workspace(latency=lambda: 0.2)
    places = [place(n) for n in range(20)]
    asking = [
        asyncio.create_task(workspace.ask(where, seconds=30 + n)) for n, where in enumerate(places)
    ]
    await run(workspace, *asking, seconds=120)
    assert workspace.platform.violations == []
    assert max(workspace.delays()) <= 3
    assert all(len(workspace.texts_shown(where)) >= 1 for where in places)
    assert all(workspace.platform.visible(w)[0].endswith("end.") for w in places)


async def test_long_replies_keep_moving_all_twenty_in_turn() -> None:
    workspace = Workspace(latency=lambda: 0.2)
    places = [place(n) for n in range(20)]
    asking = [asyncio.create_task(workspace.ask(where, seconds=150)) for where in places]
    await run(workspace, *asking, seconds=200)
    moves = [len(workspace.texts_shown(where)) for where in places]
    assert workspace.platform.violations == []
    assert min(moves) >= 3
    assert max(moves) - min(moves) <= 1


async def test_one_reply_alone_grows_live_and_never_stands_still_for_long() -> None:
    workspace = Workspace(latency=lambda: 0.1)
    await run(workspace, asyncio.create_task(workspace.ask(place(0), seconds=180)), seconds=200)
    moments = [call.at for call in workspace.texts_shown(place(0))]
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert workspace.platform.violations == []
    assert max(gaps[:8]) < 0.9
    assert max(gaps) < 2.5
    assert max(workspace.delays()) < 1


async def test_twenty_in_one_channel_see_eyes_until_their_placeholder_fits() -> None:
    workspace = Workspace(latency=lambda: 0.05)
    places = [place(n, "C") for n in range(20)]
    asking = [asyncio.create_task(workspace.ask(where, seconds=40)) for where in places]
    await workspace.clock.advance(0.9)
    assert len(workspace.platform.seen) == 19
    await workspace.clock.advance(30)
    assert workspace.platform.seen == set()
    assert all(len(workspace.platform.visible(where)) == 1 for where in places)
    await run(workspace, *asking, seconds=60)
    assert workspace.platform.violations == []
    assert max(workspace.delays()) <= 3


async def test_short_answers_that_cannot_be_carried_go_out_as_one_post() -> None:
    workspace = Workspace()
    places = [place(n) for n in range(60)]
    asking = [asyncio.create_task(workspace.ask(where, seconds=10)) for where in places]
    await run(workspace, *asking, seconds=120)
    whole = [
        where
        for where in places
        if [c.method for c in workspace.platform.made("post", "edit") if c.place == where]
        == ["post"]
    ]
    assert workspace.platform.violations == []
    assert len(whole) >= 20
    assert max(workspace.delays()) <= 3
    assert workspace.platform.seen == set()


async def test_a_long_busy_day_with_a_jittery_network_breaks_no_rule() -> None:
    rng = random.Random(7)  # noqa: S311
    workspace = Workspace(latency=lambda: rng.choice((0.05, 0.1, 0.4, 2.5)))
    asking = [
        asyncio.create_task(
            workspace.ask(
                place(n, f"C{n % 9}"), seconds=rng.uniform(1, 60), after=rng.uniform(0, 150)
            )
        )
        for n in range(75)
    ]
    await run(workspace, *asking, seconds=400)
    assert workspace.platform.violations == []
    assert all(call.error == "" for call in workspace.platform.calls)
    assert len(workspace.delivered_at) == 75
