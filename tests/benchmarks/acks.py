"""How long Slack waits for its 200 while the model is busy, and what is on disk when it has it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import command, servers, slack_traffic
from tests.benchmarks.busy import NUM_REPLIES, busy_model
from tests.benchmarks.figures import Table, at_most, milliseconds, percentile
from tests.benchmarks.slack_traffic import RATE, Ack, Disk, Traffic

SECONDS = 10.0
BOTH_RATE = 100.0
MAX_P99_MS = 100.0
_COLUMNS = ("event", "number", "p50 ms", "p99 ms", "max ms", "expected")


async def measure(quick: bool) -> list[Table]:
    seconds = 2.0 if quick else SECONDS
    return [
        await table(seconds, RATE),
        await table(seconds, BOTH_RATE),
        await table(seconds, BOTH_RATE, uses_socket_mode=True),
    ]


async def table(
    seconds: float,
    rate: float,
    *,
    uses_socket_mode: bool = False,
    num_replies: int = NUM_REPLIES,
    **settings: str,
) -> Table:
    """``settings``: of Parley, beside those of the workspace."""
    async with slack_traffic.workspace() as slack:
        slack.uses_socket_mode = uses_socket_mode
        with tempfile.TemporaryDirectory() as folder:
            parley = servers.parley(Path(folder), {**slack_traffic.settings(slack), **settings})
            with Disk(Path(folder) / "data" / "parley.db") as disk:
                async with parley.running() as url, busy_model(url, num_replies):
                    slack.events_url = f"{url}/slack/events"
                    acks = await Traffic(slack, disk).run(seconds, rate)
    how = "over Socket Mode" if uses_socket_mode else "over HTTP"
    title = f"Slack acks {how} at {rate:.0f} events/s for {seconds:g} s"
    return Table(f"{title}, {num_replies} replies streaming", _COLUMNS, _rows(acks), notes(acks))


def _rows(acks: Sequence[Ack]) -> list[tuple[str, ...]]:
    kinds = sorted({ack.kind for ack in acks})
    rows = [_row(kind, [ack for ack in acks if ack.kind == kind]) for kind in kinds]
    p99 = percentile([ack.seconds for ack in acks], 0.99) * 1000
    return [*rows, (*_row("all", acks)[:-1], at_most(p99, MAX_P99_MS))]


def _row(name: str, acks: Sequence[Ack]) -> tuple[str, ...]:
    times = [ack.seconds for ack in acks]
    shown = (percentile(times, 0.5), percentile(times, 0.99), max(times))
    return (name, str(len(acks)), *map(milliseconds, shown), "")


def notes(acks: Sequence[Ack]) -> list[str]:
    checked = [ack.is_stored for ack in acks if ack.is_stored is not None]
    refused = [ack.status for ack in acks if ack.status != 200]
    late = percentile([ack.late for ack in acks], 0.99)
    told = [
        f"questions on disk when their answer left: {sum(checked)} of {len(checked)}",
        f"99 % of the events were sent at most {milliseconds(late)} ms later than planned",
    ]
    return [*told, *([f"NOT ANSWERED 200: {sorted(set(refused))}"] if refused else [])]


if __name__ == "__main__":
    command.run(measure)
