"""How long after a token is there people in Slack see it, natively and by edits.

All of Parley but its model: each reply is a word every 50 ms, so that it is known when which
word was there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from adapters.slack.adapter import SlackAdapter
from adapters.slack.api.settings import SlackSettings
from bot.clock import SystemClock
from tests.adapters.slack.conftest import bound_socket, serving
from tests.benchmarks import command
from tests.benchmarks.figures import Row, Table, at_most, percentile
from tests.benchmarks.spoken import (
    NUM_WORDS,
    NUM_WORDS_QUICK,
    WORD_SECONDS,
    SpokenReplies,
    conversing,
)
from tests.fakes.slack import SECRET, TOKEN, FakeSlack
from tests.fakes.slack_api import BOT

WAYS = {"native streams": True, "edits": False}
_COLUMNS = ("replies", "how", "token to visible p50 s", "p95 s", "edits a reply", "appends a reply")


async def measure(quick: bool) -> list[Table]:
    num_words = NUM_WORDS_QUICK if quick else NUM_WORDS
    rows = [
        await row(n, how, SpokenReplies(num_words, WORD_SECONDS))
        for how in WAYS
        for n in (1, 8, 20)
    ]
    title = f"Replies of {num_words * WORD_SECONDS:g} s in Slack, all at once"
    return [Table(title, (*_COLUMNS, "429s caused"), rows)]


async def row(num_replies: int, how: str, replies: SpokenReplies) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeSlack(SystemClock()) as slack:
            slack.streams.has_streams = slack.streams.has_sessions = WAYS[how]
            await _run(Path(folder), slack, num_replies, replies)
    assert slack.violations == [], slack.violations
    lags = replies.lags(slack.shown)
    shown = (f"{percentile(lags, 0.5):.2f}", f"{percentile(lags, 0.95):.2f}")
    calls = [slack.num_calls(name) / num_replies for name in ("chat.update", "chat.appendStream")]
    num_limited = slack.num_rate_limited + slack.streams.num_streams_limited
    return (str(num_replies), how, *shown, *(f"{each:.1f}" for each in calls),
            at_most(num_limited, 0))  # fmt: skip


async def _run(folder: Path, slack: FakeSlack, num_replies: int, replies: SpokenReplies) -> None:
    clock = SystemClock()
    listener, slack.events_url = bound_socket()
    settings = SlackSettings(TOKEN, SECRET, slack.api_url)
    adapter = SlackAdapter(settings, clock, lambda method, status: None)
    async with (
        serving(adapter, listener),
        conversing(folder, clock, "slack", adapter, replies.generator),
    ):
        for number in range(num_replies):
            channel = f"C{number:03}"
            slack.channels.add(channel)
            slack.members.add(channel)
            await slack.say(f"<@{BOT}> Question {number}", channel=channel)
        await replies.say(num_replies, slack.shown)


if __name__ == "__main__":
    command.run(measure)
