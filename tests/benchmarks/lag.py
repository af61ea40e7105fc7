"""What our callbacks take from the event loop, in thread CPU time, under everything at once:
sixteen replies streaming, Slack at 200 events a second, and questions of a megabyte.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.benchmarks import command, servers, slack_traffic
from tests.benchmarks.busy import KEY, busy_model
from tests.benchmarks.callbacks import Callback
from tests.benchmarks.chat_load import filler
from tests.benchmarks.figures import Table, at_most, milliseconds
from tests.benchmarks.slack_traffic import Disk, Traffic
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_api import BOT, CHANNEL

SECONDS = 10.0
MAX_CPU_MS = 50.0
NUM_SHOWN = 12
_MEGABYTE = 1_000_000
_SLACK_SIZE = _MEGABYTE - 4_000  # with the envelope it stays below what the webhook takes
_NUM_LARGE, _LARGE_SECONDS = 4, 60.0
_COLUMNS = ("callback", "CPU ms", "of it gc", "wall ms")


@dataclass(frozen=True, slots=True)
class Found:
    """``callbacks``: those of the load, without what the start took."""

    callbacks: Sequence[Callback]
    num_callbacks: int


async def measure(quick: bool) -> list[Table]:
    seconds = 3.0 if quick else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        found = await _watch(Path(folder), seconds)
    slowest = sorted(found.callbacks, key=lambda each: each.cpu, reverse=True)
    most = slowest[0].cpu * 1000 if slowest else 0.0
    notes = [
        f"longest callback, ms of thread CPU time: {most:.1f}; expected {at_most(most, MAX_CPU_MS)}"
    ]
    title = "Event loop: the longest callbacks, 16 replies streaming, 200 events/s, 1 MB questions"
    return [Table(title, _COLUMNS, [_row(each) for each in slowest[:NUM_SHOWN]], notes)]


async def _watch(folder: Path, seconds: float) -> Found:
    report = folder / "callbacks.json"
    program = ("tests.benchmarks.callbacks", str(report), "bot", "run")
    async with slack_traffic.workspace() as slack:
        settings = {**slack_traffic.settings(slack), "PARLEY_DRAIN_SECONDS": "1"}
        with Disk(folder / "data" / "parley.db") as disk:
            async with servers.parley(folder, settings, program=program).running() as url:
                slack.events_url = f"{url}/slack/events"
                begun = time.monotonic()
                await _load(url, Traffic(slack, disk), slack, seconds)
                ended = time.monotonic()
    return _read(report, begun, ended)


async def _load(url: str, traffic: Traffic, slack: FakeSlack, seconds: float) -> None:
    async with busy_model(url):
        await asyncio.gather(
            traffic.run(seconds), _ask_at_length(url), _mention_at_length(slack, seconds)
        )


async def _ask_at_length(url: str) -> None:
    """One after the other; each is refused, since it does not fit the window."""
    question = filler(1, _MEGABYTE // 7)
    body = {"messages": [{"role": "user", "content": question}], "user": "at length"}
    timeout = aiohttp.ClientTimeout(total=_LARGE_SECONDS)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        for _ in range(_NUM_LARGE):
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                await answer.read()
                if answer.status != 400:
                    raise RuntimeError(f"1 MB was answered {answer.status}")


async def _mention_at_length(slack: FakeSlack, seconds: float) -> None:
    for _ in range(_NUM_LARGE):
        await slack.say(f"<@{BOT}> {filler(2, _SLACK_SIZE // 7)}"[:_SLACK_SIZE], channel=CHANNEL)
        await asyncio.sleep(seconds / _NUM_LARGE)


def _read(report: Path, begun: float, ended: float) -> Found:
    """``time.monotonic`` is the same for all processes of a machine."""
    content = json.loads(report.read_text())
    kept = [Callback(**each) for each in content["kept"]]
    return Found([each for each in kept if begun <= each.at <= ended], content["num_callbacks"])


def _row(callback: Callback) -> tuple[str, ...]:
    times = map(milliseconds, (callback.cpu, callback.gc, callback.wall))
    return (callback.name, *times)


if __name__ == "__main__":
    command.run(measure)
