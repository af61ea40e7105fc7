"""How long after a token is there people in Teams see it, and what calls that takes.

All of Parley but its model: each reply is a word every 50 ms, so that it is known when which
word was there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from bot.clock import SystemClock
from tests.adapters.teams.conftest import make_adapter, serving
from tests.benchmarks import command
from tests.benchmarks.figures import Row, Table, at_most, percentile
from tests.benchmarks.spoken import (
    NUM_WORDS,
    NUM_WORDS_QUICK,
    WORD_SECONDS,
    SpokenReplies,
    conversing,
)
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import Json, message

SHARED = "19:shared@thread.tacv2"
_COLUMNS = ("replies", "where", "token to visible p50 s", "p99 s", "calls a reply")
_LIMITS = ("most in 1 s", "most in 30 s", "429s caused")


def _in_chat(number: int) -> Json:
    return message(f"Question {number}", "personal", conversation_id=f"a:bench{number}")


def _in_channel(number: int) -> Json:
    place = f"19:bench{number}@thread.tacv2"
    return message(f"Question {number}", "channel", conversation_id=place)


def _in_one_channel(number: int) -> Json:
    root = str(1_700_000_000_000 + number)
    return message(f"Question {number}", "channel", conversation_id=SHARED, root=root)


PLACES: dict[str, Callable[[int], Json]] = {
    "chats of their own": _in_chat,
    "channels of their own": _in_channel,
    "threads of one channel": _in_one_channel,
}


async def measure(quick: bool) -> list[Table]:
    num_words = NUM_WORDS_QUICK if quick else NUM_WORDS
    rows = [
        await row(n, where, SpokenReplies(num_words, WORD_SECONDS))
        for where in PLACES
        for n in (1, 8, 20)
    ]
    title = f"Replies of {num_words * WORD_SECONDS:g} s in Teams, all at once"
    return [Table(title, (*_COLUMNS, *_LIMITS), rows)]


async def row(num_replies: int, where: str, replies: SpokenReplies) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeTeams(SystemClock()) as teams:
            await _run(Path(folder), teams, num_replies, where, replies)
    assert teams.violations == [], teams.violations
    lags = replies.lags(teams.shown)
    shown = (f"{percentile(lags, 0.5):.2f}", f"{percentile(lags, 0.99):.2f}")
    calls = f"{teams.num_calls / num_replies:.1f}"
    limits = (at_most(teams.most_calls(1.0), 7), at_most(teams.most_calls(30.0), 60))
    return (str(num_replies), where, *shown, calls, *limits, at_most(teams.num_rate_limited, 0))


async def _run(
    folder: Path, teams: FakeTeams, num_replies: int, where: str, replies: SpokenReplies
) -> None:
    clock = SystemClock()
    adapter = make_adapter(teams, clock=clock)
    async with (
        serving(adapter, teams),
        conversing(folder, clock, "teams", adapter, replies.generator),
    ):
        for number in range(num_replies):
            given = PLACES[where](number)
            if where == "chats of their own":
                teams.personal.add(given["conversation"]["id"])
            assert await teams.deliver({**given, "serviceUrl": teams.url}) == 202
        await replies.say(num_replies, teams.shown)


if __name__ == "__main__":
    command.run(measure)
