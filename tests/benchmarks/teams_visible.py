"""How long after a token is there people in Teams see it, and what calls that takes.

All of Parley but its model: each reply is a word every 50 ms, so that it is known when which
word was there.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.access import Access
from bot.attachments.uploads import Uploads
from bot.clock import SystemClock
from bot.conversation import ConversationRules, ConversationService
from bot.history import open_store
from bot.metrics import Metrics
from bot.personality import PersonalityBook
from bot.settings.tables import SHIPPED_PERSONALITIES
from tests.adapters.teams.conftest import make_adapter, serving
from tests.benchmarks import command
from tests.benchmarks.figures import Row, Table, at_most, percentile
from tests.contracts.adapter import listening
from tests.fakes.generator import ScriptedGenerator
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import Json, message

WORD_SECONDS, NUM_WORDS = 0.05, 200
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


@dataclass
class _Run:
    """``said_at``: of each reply, by its name, when each of its words was there."""

    teams: FakeTeams
    generator: ScriptedGenerator
    said_at: dict[str, list[float]] = field(default_factory=dict)


async def measure(quick: bool) -> list[Table]:
    num_words = 60 if quick else NUM_WORDS
    rows = [await _row(n, where, num_words) for where in PLACES for n in (1, 8, 20)]
    seconds = num_words * WORD_SECONDS
    title = f"Replies of {seconds:g} s in Teams, all at once"
    return [Table(title, (*_COLUMNS, *_LIMITS), rows)]


async def _row(num_replies: int, where: str, num_words: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        async with _running(Path(folder)) as run:
            await _ask(run, num_replies, where, num_words)
            lags, teams = _lags(run), run.teams
            assert teams.violations == [], teams.violations
    shown = (f"{percentile(lags, 0.5):.2f}", f"{percentile(lags, 0.99):.2f}")
    calls = f"{teams.num_calls / num_replies:.1f}"
    limits = (at_most(teams.most_calls(1.0), 7), at_most(teams.most_calls(30.0), 60))
    return (str(num_replies), where, *shown, calls, *limits, at_most(teams.num_rate_limited, 0))


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[_Run]:
    clock, generator = SystemClock(), ScriptedGenerator()
    book = await asyncio.to_thread(PersonalityBook.load, SHIPPED_PERSONALITIES, "assistant")
    store = await open_store(f"sqlite:///{folder / 'parley.db'}", clock)
    async with FakeTeams(clock) as teams:
        adapter = make_adapter(teams, clock=clock)
        service = ConversationService(
            store=store,
            generator=generator,
            personalities=book,
            access=Access(max_in_flight=0, per_minute=0, clock=clock),
            adapters={"teams": adapter},
            clock=clock,
            metrics=Metrics(),
            rules=ConversationRules(),
            uploads=Uploads(folder / "uploads"),
        )
        await service.start()
        async with serving(adapter, teams), adapter, listening(adapter, service.handle):
            yield _Run(teams, generator)
            await service.close()
    await store.close()


async def _ask(run: _Run, num_replies: int, where: str, num_words: int) -> None:
    for number in range(num_replies):
        given = PLACES[where](number)
        if where == "chats of their own":
            run.teams.personal.add(given["conversation"]["id"])
        assert await run.teams.deliver({**given, "serviceUrl": run.teams.url}) == 202
    await asyncio.gather(*(_say(run, num_words) for _ in range(num_replies)))
    async with asyncio.timeout(90):
        while not all(_is_complete(run, n, num_words) for n in range(num_replies)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _say(run: _Run, num_words: int) -> None:
    generation = await run.generator.started()
    name = _name(generation.question)
    said_at = run.said_at.setdefault(name, [])
    for word in range(num_words):
        said_at.append(time.monotonic())
        generation.say(f"{name}w{word} ")
        await asyncio.sleep(WORD_SECONDS)
    generation.finish()


def _name(question: str) -> str:
    return f"q{question.rpartition(' ')[2]}"


def _is_complete(run: _Run, number: int, num_words: int) -> bool:
    last = f"q{number}w{num_words - 1}"
    return any(text.endswith(last) for _, _, text in run.teams.shown)


def _lags(run: _Run) -> Sequence[float]:
    """Of every word, from when it was there to the first text that shows it."""
    lags: list[float] = []
    for name, said_at in run.said_at.items():
        num_seen = 0
        for at, _, text in run.teams.shown:
            count = text.count(f"{name}w")
            lags += [at - said for said in said_at[num_seen:count]]
            num_seen = max(num_seen, count)
    return lags


if __name__ == "__main__":
    command.run(measure)
