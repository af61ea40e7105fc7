"""How long after a token is there people in Slack see it, natively and by edits.

All of Parley but its model: each reply is a word every 50 ms, so that it is known when which
word was there.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.slack.adapter import SlackAdapter
from adapters.slack.api.settings import SlackSettings
from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.clock import SystemClock
from bot.conversation import ConversationRules, ConversationService
from bot.history import open_store
from bot.metrics import Metrics
from bot.personality import PersonalityBook
from bot.settings.tables import SHIPPED_PERSONALITIES
from tests.adapters.slack.conftest import bound_socket, serving
from tests.benchmarks import command
from tests.benchmarks.figures import Row, Table, at_most, percentile
from tests.contracts.adapter import listening
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.slack import SECRET, TOKEN, FakeSlack
from tests.fakes.slack_api import BOT

WORD_SECONDS, NUM_WORDS = 0.05, 200
WAYS = {"native streams": True, "edits": False}
_COLUMNS = ("replies", "how", "token to visible p50 s", "p95 s", "edits a reply", "appends a reply")


@dataclass
class SlackRun:
    """``said_at``: of each reply, by its name, when each of its words was there."""

    slack: FakeSlack
    generator: ScriptedGenerator
    said_at: dict[str, list[float]] = field(default_factory=dict)


async def measure(quick: bool) -> list[Table]:
    num_words = 60 if quick else NUM_WORDS
    rows = [await _row(n, how, num_words) for how in WAYS for n in (1, 8, 20)]
    title = f"Replies of {num_words * WORD_SECONDS:g} s in Slack, all at once"
    return [Table(title, (*_COLUMNS, "429s caused"), rows)]


async def _row(num_replies: int, how: str, num_words: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        async with _running(Path(folder)) as run:
            run.slack.streams.has_streams = run.slack.streams.has_sessions = WAYS[how]
            await _ask(run, num_replies, num_words)
            lags, slack = _lags(run), run.slack
            assert slack.violations == [], slack.violations
    shown = (f"{percentile(lags, 0.5):.2f}", f"{percentile(lags, 0.95):.2f}")
    calls = [slack.num_calls(name) / num_replies for name in ("chat.update", "chat.appendStream")]
    num_limited = slack.num_rate_limited + slack.streams.num_streams_limited
    return (str(num_replies), how, *shown, *(f"{each:.1f}" for each in calls),
            at_most(num_limited, 0))  # fmt: skip


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[SlackRun]:
    clock, generator = SystemClock(), ScriptedGenerator()
    book = await asyncio.to_thread(PersonalityBook.load, SHIPPED_PERSONALITIES, "assistant")
    store = await open_store(f"sqlite:///{folder / 'parley.db'}", clock)
    async with FakeSlack(clock) as slack:
        listener, slack.events_url = bound_socket()
        settings = SlackSettings(TOKEN, SECRET, slack.api_url)
        adapter = SlackAdapter(settings, clock, lambda method, status: None)
        service = ConversationService(
            store=store,
            generator=generator,
            personalities=book,
            access=Access(max_in_flight=0, per_minute=0, clock=clock),
            adapters={"slack": adapter},
            clock=clock,
            metrics=Metrics(),
            rules=ConversationRules(),
            uploads=Uploads(folder / "uploads"),
        )
        await service.start()
        async with serving(adapter, listener), adapter, listening(adapter, service.handle):
            yield SlackRun(slack, generator)
            await service.close()
    await store.close()


async def _ask(run: SlackRun, num_replies: int, num_words: int) -> None:
    for number in range(num_replies):
        channel = f"C{number:03}"
        run.slack.channels.add(channel)
        run.slack.members.add(channel)
        await run.slack.say(f"<@{BOT}> Question {number}", channel=channel)
    await asyncio.gather(*(_say(run, num_words) for _ in range(num_replies)))
    async with asyncio.timeout(120):
        while not all(_is_complete(run, n, num_words) for n in range(num_replies)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _say(run: SlackRun, num_words: int) -> None:
    generation = await run.generator.started()
    name = f"q{generation.question.rpartition(' ')[2]}"
    said_at = run.said_at.setdefault(name, [])
    for word in range(num_words):
        said_at.append(time.monotonic())
        generation.say(f"{name}w{word} ")
        await asyncio.sleep(WORD_SECONDS)
    generation.finish()


def _is_complete(run: SlackRun, number: int, num_words: int) -> bool:
    last = f"q{number}w{num_words - 1}"
    return any(text.rstrip().endswith(last) for _, _, text in run.slack.shown)


def _lags(run: SlackRun) -> Sequence[float]:
    """Of every word, from when it was there to the first text that shows it."""
    lags: list[float] = []
    for name, said_at in run.said_at.items():
        num_seen = 0
        for at, _, text in run.slack.shown:
            count = text.count(f"{name}w")
            lags += [at - said for said in said_at[num_seen:count]]
            num_seen = max(num_seen, count)
    return lags


if __name__ == "__main__":
    command.run(measure)
