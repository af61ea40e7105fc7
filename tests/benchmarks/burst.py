"""C users ask at once, each something else: Parley beside its peers, in alternation."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks import command, counters
from tests.benchmarks.figures import Table, at_least, at_most
from tests.benchmarks.rounds import Found, alternate, first_token, speed
from tests.benchmarks.sides import (
    EXAMPLES,
    LLAMA_CPP_SERVER,
    LLAMA_SERVER,
    PARLEY,
    Load,
    Sides,
    everybody,
)

CONCURRENCIES = (1, 4, 8, 16)
NUM_ROUNDS, MAX_RERUNS = 3, 2
REST_SECONDS = 2.0
CLOSE_ROUNDS = {EXAMPLES: 10}
"""So close to Parley that three rounds do not tell; even, since who begins changes."""
EXPECTED = {
    (8, EXAMPLES): (0.65, 1.0),
    (16, EXAMPLES): (0.65, 1.0),
    (8, LLAMA_CPP_SERVER): (0.4, 1.8),
    (1, LLAMA_SERVER): (None, 1.0),
}
"""First token at most, tokens/s at least, as ratios to theirs."""
_COUNTERS = (counters.EVALUATED, counters.COMPLETED, counters.HELD)
_COLUMNS = ("at once", "who", "first token s", "ratio", "tokens/s", "ratio", "expected")
_TITLE = "Burst: everybody asks at once, 48 tokens each; ratios are Parley's to theirs"


async def measure(quick: bool) -> list[Table]:
    sizes = (2, 4) if quick else CONCURRENCIES
    with tempfile.TemporaryDirectory() as folder:
        async with everybody(Path(folder), quick=quick) as sides:
            before = await counters.read(sides.parley_url)
            found = {size: await _found(sides, size, quick) for size in sizes}
            counted = counters.moved(before, await counters.read(sides.parley_url))
    return [_table(found, counted, sides.chosen)]


async def _found(sides: Sides, size: int, quick: bool) -> Found:
    runs, first = sides.under(Load("burst", size)), 100 * size
    if quick:
        return await alternate(runs, range(first, first + 1 + MAX_RERUNS), 1)
    seeds = range(first, first + max(CLOSE_ROUNDS.values()) + MAX_RERUNS)
    return await alternate(runs, seeds, NUM_ROUNDS, CLOSE_ROUNDS, REST_SECONDS)


def _table(found: dict[int, Found], counted: counters.Counters, chosen: str) -> Table:
    rows = [row for size, of_size in found.items() for row in rows_of(size, of_size)]
    notes = [f"at {size}, {note}" for size, each in found.items() for note in each.notes]
    failures = [f"at {size}, {each}" for size, of in found.items() for each in of.failures]
    failures += counters.unmoved(counted, _COUNTERS)
    notes += [chosen, counters.told(counted, _COUNTERS)]
    return Table(_TITLE, _COLUMNS, rows, notes, failures)


def rows_of(size: int, found: Found) -> list[tuple[str, ...]]:
    return [
        _row(size, name, found, ("", ""), "") if name == PARLEY else _theirs(size, name, found)
        for name in found.names
    ]


def _theirs(size: int, name: str, found: Found) -> tuple[str, ...]:
    first, fast = found.ratio(name, first_token), found.ratio(name, speed)
    most, least = EXPECTED.get((size, name), (None, None))
    expected = [at_most(first, most)] if most else []
    expected += [at_least(fast, least)] if least else []
    return _row(size, name, found, (f"{first:.2f}", f"{fast:.2f}"), ", ".join(expected))


def _row(
    size: int, name: str, found: Found, ratios: tuple[str, str], expected: str
) -> tuple[str, ...]:
    first, fast = found.median(name, first_token), found.median(name, speed)
    return (str(size), name, f"{first:.2f}", ratios[0], f"{fast:.0f}", ratios[1], expected)


if __name__ == "__main__":
    command.run(measure)
