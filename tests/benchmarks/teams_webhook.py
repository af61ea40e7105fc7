"""How long Teams waits for its 202 while the model is busy, and what is on disk when it has it."""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from adapters.teams.webhook import PATH
from tests.benchmarks import command, servers
from tests.benchmarks.acks import MAX_P99_MS
from tests.benchmarks.busy import KEY, busy_model
from tests.benchmarks.figures import Row, Table, at_most, milliseconds, percentile
from tests.benchmarks.slack_traffic import Ack, Disk
from tests.fakes import teams_activities as people
from tests.fakes.teams import FakeTeams
from tests.fakes.teams_activities import Json

RATE, SECONDS = 100.0, 10.0
NUM_CONVERSATIONS, NUM_PEOPLE = 20, 50
PATTERN = (
    *(*["reaction"] * 7, "question", *["retry"] * 3, *["reaction"] * 8, "feedback"),
    *(*["reaction"] * 7, "question", *["retry"] * 3, *["reaction"] * 7, "feedback", "edit"),
)
"""Of forty activities; ``retry``: a question that Teams delivers again."""

_COLUMNS = ("activity", "number", "p50 ms", "p99 ms", "max ms", "expected")


async def measure(quick: bool) -> list[Table]:
    seconds = 2.0 if quick else SECONDS
    with tempfile.TemporaryDirectory() as name:
        acks, notes = await _acks(Path(name), seconds)
    title = f"Teams webhook at {RATE:.0f} activities/s for {seconds:g} s, 16 replies streaming"
    return [Table(title, _COLUMNS, _rows(acks), notes)]


async def _acks(folder: Path, seconds: float) -> tuple[list[Ack], list[str]]:
    async with FakeTeams() as teams:
        given = {f"TEAMS_{key.upper()}": value for key, value in teams.settings().items()}
        parley = servers.parley(folder, {**given, "PARLEY_API_KEYS": KEY})
        with Disk(folder / "data" / "parley.db") as disk:
            async with parley.running() as url, busy_model(url):
                teams.bot_url = f"{url}{PATH}"
                acks = await _Traffic(teams, disk).run(seconds)
        return acks, [*_notes(acks), f"429s caused: {teams.num_rate_limited}"]


class _Traffic:
    """Nobody waits for anybody: an activity is sent when its time has come, answered or not."""

    def __init__(self, teams: FakeTeams, disk: Disk) -> None:
        self._teams = teams
        self._disk = disk
        self._random = random.Random(1)  # noqa: S311 - the same traffic at every run
        self._asked = deque([self._question()], maxlen=40)
        # Teams uses a token for many activities, too.
        self._headers = {"Authorization": f"Bearer {teams.issuer.sign(teams.url)}"}

    async def run(self, seconds: float) -> list[Ack]:
        begun, sending = time.perf_counter(), []
        kinds = itertools.cycle(PATTERN)
        for number in range(int(seconds * RATE)):
            planned_at = begun + number / RATE
            await asyncio.sleep(planned_at - time.perf_counter())
            sending.append(asyncio.create_task(self._send(next(kinds), planned_at)))
        return await asyncio.gather(*sending)

    def _question(self) -> Json:
        root = f"17000000{self._random.randrange(10_000):05}"
        channel = f"19:bench{self._random.randrange(NUM_CONVERSATIONS)}@thread.tacv2"
        person = f"29:person{self._random.randrange(NUM_PEOPLE)}"
        given = {"root": root, "conversation_id": channel, "service_url": self._teams.url}
        given["user"] = person
        return people.message("What do you know about llamas?", "channel", **given)

    def _activity(self, kind: str) -> Json:
        here = {"serviceUrl": self._teams.url}
        known = self._random.choice(self._asked)
        match kind:
            case "question":
                self._asked.append(self._question())
                return self._asked[-1]
            case "reaction":
                return people.reaction(known["id"], "like", scope="channel") | here
            case "feedback":
                return people.feedback(known["id"], scope="channel") | here
            case "edit":
                return people.edit(known, "<at>Parley</at> What do you know about them?")
        return known

    async def _send(self, kind: str, planned_at: float) -> Ack:
        activity = self._activity(kind)
        sent_at = time.perf_counter()
        status, _ = await self._teams.send(activity, self._headers)
        seconds = time.perf_counter() - sent_at
        is_question = kind in ("question", "retry")
        is_stored = await self._disk.has(activity["id"]) if is_question else None
        return Ack(kind, status, seconds, sent_at - planned_at, is_stored)


def _rows(acks: Sequence[Ack]) -> list[Row]:
    kinds = sorted({ack.kind for ack in acks})
    rows = [_row(kind, [ack.seconds for ack in acks if ack.kind == kind]) for kind in kinds]
    times = [ack.seconds for ack in acks]
    p99 = percentile(times, 0.99) * 1000
    return [*rows, (*_row("all", times)[:-1], at_most(p99, MAX_P99_MS))]


def _row(name: str, times: Sequence[float]) -> Row:
    shown = (percentile(times, 0.5), percentile(times, 0.99), max(times))
    return (name, str(len(times)), *map(milliseconds, shown), "")


def _notes(acks: Sequence[Ack]) -> list[str]:
    checked = [ack.is_stored for ack in acks if ack.is_stored is not None]
    refused = sorted({ack.status for ack in acks} - {200, 202})
    told = f"questions on disk when their answer left: {sum(checked)} of {len(checked)}"
    return [told, *([f"NOT ANSWERED 200 OR 202: {refused}"] if refused else [])]


if __name__ == "__main__":
    command.run(measure)
