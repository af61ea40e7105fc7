"""Eight replies that outgrow the pool: nobody's is lost, and what sending some back costs."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from tests.benchmarks import command, counters, servers, sides
from tests.benchmarks.figures import Table
from tests.benchmarks.rounds import Found, alternate, first_token, speed
from tests.benchmarks.sides import PARLEY, Load

AT_ONCE, NUM_CELLS = 8, 1_024
NUM_ROUNDS, MAX_RERUNS = 3, 2
_WARM_UP = 0
_LARGE = "with room for all"
_LOAD = Load("burst", AT_ONCE, ("--max-tokens", "150"))
_QUICK = Load("burst", AT_ONCE, ("--max-tokens", "80"))
_QUICK_CELLS = 820
_COUNTERS = (counters.PREEMPTED,)
_COLUMNS = ("pool", "first token s", "tokens/s", "Parley's ratio")


async def measure(quick: bool) -> list[Table]:
    load, num_cells = (_QUICK, _QUICK_CELLS) if quick else (_LOAD, NUM_CELLS)
    num_rounds = 1 if quick else NUM_ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        small = servers.parley(Path(folder) / "small", {"PARLEY_KV_TOKENS": str(num_cells)})
        large = servers.parley(Path(folder) / "large", {})
        async with small.running() as url, large.running() as other_url:
            runs = {
                PARLEY: partial(sides.over_http, url, load),
                _LARGE: partial(sides.over_http, other_url, load),
            }
            for run in runs.values():
                await run(_WARM_UP)
            found = await alternate(runs, range(1, 1 + num_rounds + MAX_RERUNS), num_rounds)
            counted = await counters.read(url)
    title = f"Crowd: {AT_ONCE} replies in {num_cells:,} cells, which do not hold them"
    failures = [*found.failures, *counters.unmoved(counted, _COUNTERS)]
    notes = [*found.notes, counters.told(counted, _COUNTERS)]
    rows = [_row(name, num_cells, found) for name in found.names]
    return [Table(title, _COLUMNS, rows, notes, failures)]


def _row(name: str, num_cells: int, found: Found) -> tuple[str, ...]:
    """A reply that was lost or cut would not be comparable."""
    is_small = name == PARLEY
    return (
        f"{num_cells:,} cells" if is_small else name,
        f"{found.median(name, first_token):.2f}",
        f"{found.median(name, speed):.0f}",
        "" if is_small else f"{found.ratio(name, speed):.2f}",
    )


if __name__ == "__main__":
    command.run(measure)
