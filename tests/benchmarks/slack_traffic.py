"""A workspace that talks: signed events at a steady rate, each with the time of its ack."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sqlite3
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from bot.clock import SystemClock
from tests.benchmarks.busy import KEY
from tests.benchmarks.chat_load import filler
from tests.fakes.slack import TOKEN, FakeSlack, envelope
from tests.fakes.slack_api import BOT, Json

RATE = 200.0
NUM_CHANNELS, NUM_PEOPLE = 20, 50
PATTERN = ("question", "twin", *["chatter"] * 10, *["reaction"] * 5, *["retry"] * 3)
"""Of twenty events; ``twin``: the same mention as the other kind of event, as Slack does."""

_NO_LIMIT = 1_000_000
_NUM_REMEMBERED = 40
_REACTIONS = ("thumbsup", "tada", "eyes", "octagonal_sign")
_RETRY = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}


@dataclass(frozen=True, slots=True)
class Ack:
    """``seconds`` from the first byte sent to the whole answer; ``late``: how much later than
    planned it was sent. ``is_stored`` of questions: the row was on disk right after the answer.
    """

    kind: str
    status: int
    seconds: float
    late: float
    is_stored: bool | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """``message_id`` of the question that must be on disk once this is answered."""

    kind: str
    body: str
    message_id: str | None = None


def workspace() -> FakeSlack:
    """A Slack that refuses no call for its limits, with enough channels and people."""
    slack = FakeSlack(SystemClock(), update_limit=_NO_LIMIT)
    channels = {f"C{number:03}" for number in range(NUM_CHANNELS)}
    slack.channels |= channels
    slack.members |= channels
    slack.names |= {f"U{number:03}": f"Person {number}" for number in range(NUM_PEOPLE)}
    return slack


def settings(slack: FakeSlack) -> dict[str, str]:
    """What Parley needs to serve this workspace, where nobody has asked too much."""
    return {
        "PARLEY_API_KEYS": KEY,
        "PARLEY_MAX_IN_FLIGHT": "100",
        "PARLEY_PER_MINUTE": "1000",
        "SLACK_BOT_TOKEN": TOKEN,
        **slack.way_of_delivering,
        "SLACK_API_URL": slack.api_url,
    }


class Traffic:
    """Nobody waits for anybody: an event is sent when its time has come, answered or not."""

    def __init__(self, slack: FakeSlack, disk: Disk, *, seed: int = 1) -> None:
        self._slack = slack
        self._disk = disk
        self._random = random.Random(seed)  # noqa: S311 - the same traffic at every run
        self._numbers = itertools.count(1)
        self._asked: deque[Json] = deque(maxlen=_NUM_REMEMBERED)
        self._sent: deque[Delivery] = deque(maxlen=_NUM_REMEMBERED)

    async def run(self, seconds: float, rate: float = RATE) -> list[Ack]:
        begun, sending = time.perf_counter(), []
        for number, kind in enumerate(self._kinds(int(seconds * rate))):
            planned_at = begun + number / rate
            await asyncio.sleep(planned_at - time.perf_counter())
            sending.append(asyncio.create_task(self._send(self._delivery(kind), planned_at)))
        return await asyncio.gather(*sending)

    def _kinds(self, num_events: int) -> Iterable[str]:
        """The pattern in an order of its own each time, but a twin behind its question."""
        for _ in range(-(-num_events // len(PATTERN))):
            others = [kind for kind in PATTERN if kind not in ("question", "twin")]
            self._random.shuffle(others)
            at = self._random.randrange(len(others))
            yield from [*others[:at], "question", "twin", *others[at:]]

    def _delivery(self, kind: str) -> Delivery:
        if kind == "retry" and self._sent:
            return replace(self._random.choice(self._sent), kind=kind)
        delivery = self._new(kind)
        self._sent.append(delivery)
        return delivery

    def _new(self, kind: str) -> Delivery:
        if kind == "question":
            question = self._message(f"<@{BOT}> What do you know about {self._text()}?")
            self._asked.append(question)
            return self._packed(kind, {**question, "type": "app_mention"}, question["ts"])
        if kind == "twin":
            return self._packed(kind, self._asked[-1], self._asked[-1]["ts"])
        if kind == "reaction" and self._asked:
            return self._packed(kind, self._reaction(self._random.choice(self._asked)))
        return self._packed("chatter", self._chatter())

    def _packed(self, kind: str, event: Json, message_id: str | None = None) -> Delivery:
        body = json.dumps(envelope(event, f"EvBench{next(self._numbers):06}"))
        return Delivery(kind, body, message_id)

    def _chatter(self) -> Json:
        """Two of three stand alone; the rest are in threads that are none of Parley's."""
        thread = {"thread_ts": "1600000000.000001"} if self._random.random() < 1 / 3 else {}
        return self._message(self._text(), **thread)

    def _message(self, text: str, **more: str) -> Json:
        channel = f"C{self._random.randrange(NUM_CHANNELS):03}"
        message = {"type": "message", "user": self._person(), "text": text, **more}
        ts = self._slack.keep({**message, "channel": channel})
        return {**self._slack.messages[channel, ts], "channel_type": "channel", "event_ts": ts}

    def _reaction(self, question: Json) -> Json:
        item = {"type": "message", "channel": question["channel"], "ts": question["ts"]}
        name = self._random.choice(_REACTIONS)
        return {"type": "reaction_added", "user": self._person(), "reaction": name, "item": item}

    def _person(self) -> str:
        return f"U{self._random.randrange(NUM_PEOPLE):03}"

    def _text(self) -> str:
        return filler(self._random.randrange(1_000_000), 20)

    async def _send(self, delivery: Delivery, planned_at: float) -> Ack:
        headers = _RETRY if delivery.kind == "retry" else None
        sent_at = time.perf_counter()
        status = await self._slack.hand_over(delivery.body, headers=headers)
        seconds = time.perf_counter() - sent_at
        is_stored = await self._disk.has(delivery.message_id) if delivery.message_id else None
        return Ack(delivery.kind, status, seconds, sent_at - planned_at, is_stored)


class Disk:
    """Looks into the database from outside, as it is at that moment; never writes."""

    def __init__(self, database: Path) -> None:
        self._uri = f"file:{database}?mode=ro"
        self._reader = ThreadPoolExecutor(1, "bench-disk")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.shutdown()

    async def has(self, message_id: str) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._has, message_id)

    def _has(self, message_id: str) -> bool:
        with closing(sqlite3.connect(self._uri, uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM turns WHERE message_id = ?", (message_id,))
            return found.fetchone() is not None
