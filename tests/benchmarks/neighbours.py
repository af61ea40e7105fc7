"""Others keep the cores busy: how much of its speed Parley keeps beside them."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from tests.benchmarks import command, counters, servers
from tests.benchmarks.figures import Table, at_least
from tests.benchmarks.rounds import speed
from tests.benchmarks.sides import Load, over_http

NUM_LOOPS = (2, 4)
MIN_SHARE = {4: 0.3}
_AT_ONCE = (1, 8)
_NUM_ROUNDS = 3
_LIMIT_SECONDS = 600
"""A loop ends by itself, whatever becomes of who started it."""
_LOOP = (
    f"import time\nend = time.monotonic() + {_LIMIT_SECONDS}\nwhile time.monotonic() < end: pass"
)
_COLUMNS = ("replies at once", "busy loops", "tokens/s", "of idle", "expected")
_TITLE = "Busy neighbours: loops that take all the time of the cores that they get"


async def measure(quick: bool) -> list[Table]:
    loops = (2,) if quick else NUM_LOOPS
    options = ("--max-tokens", "8") if quick else ()
    with tempfile.TemporaryDirectory() as folder:
        server = servers.parley(Path(folder) / "parley", {})
        async with server.running() as url:
            await over_http(url, Load("burst", 2), 0)
            before = await counters.read(url)
            rows = []
            for at_once in _AT_ONCE[: 1 if quick else None]:
                load = Load("burst", at_once, options)
                rows += await _rows(url, load, loops, 1 if quick else _NUM_ROUNDS)
            counted = counters.moved(before, await counters.read(url))
    demanded = (counters.COMPLETED,)
    notes = [counters.told(counted, demanded)]
    return [Table(_TITLE, _COLUMNS, rows, notes, counters.unmoved(counted, demanded))]


async def _rows(
    url: str, load: Load, loops: tuple[int, ...], num_rounds: int
) -> list[tuple[str, ...]]:
    """Every round anew at rest, then beside ever more loops: the machine may change, too."""
    found: dict[int, list[float]] = {number: [] for number in (0, *loops)}
    for seed in range(1, num_rounds + 1):
        for number, speeds in found.items():
            with _busy(number):
                speeds.append(speed(await over_http(url, load, 10 * seed + number)))
    idle = found[0]
    rows: list[tuple[str, ...]] = [
        (str(load.at_once), "0", f"{statistics.median(idle):.0f}", "", "")
    ]
    for number in loops:
        pairs = zip(found[number], idle, strict=True)
        share = statistics.median(beside / alone for beside, alone in pairs)
        expected = at_least(share, MIN_SHARE[number]) if number in MIN_SHARE else ""
        row = (str(load.at_once), str(number), f"{statistics.median(found[number]):.0f}")
        rows.append((*row, f"{share:.2f}", expected))
    return rows


@contextmanager
def _busy(number: int) -> Iterator[None]:
    loops = [Popen([sys.executable, "-c", _LOOP]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    command.run(measure)
