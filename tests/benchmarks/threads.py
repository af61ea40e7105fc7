"""24 threads of 4 turns under one personality, 8 at once: what is evaluated again, and by whom."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.benchmarks import command, counters
from tests.benchmarks.figures import Table, at_least, at_most
from tests.benchmarks.rounds import Found, alternate, first_token, speed
from tests.benchmarks.sides import (
    BARE,
    EXAMPLES,
    LLAMA_SERVER,
    LLAMA_SERVER_BEST,
    LLAMA_SERVERS,
    PARLEY,
    Json,
    Load,
    everybody,
)

AT_ONCE = 8
_QUICK = ("--threads", "6", "--turns", "2", "--max-tokens", "8")
MIN_SPEED, MAX_FIRST, GOAL_FIRST = 1.65, 1.1, 0.35
OF_LLAMA_SERVER = {LLAMA_SERVER: (2.5, 0.3), LLAMA_SERVER_BEST: (1.3, 0.6)}
"""Tokens/s at least, first token at most, as ratios to theirs."""
MAX_LAST_FIRST = 1.2
"""The first token of the last turn, to that of the first turn."""
_NUM_ROUNDS = {LLAMA_SERVER: 4, LLAMA_SERVER_BEST: 4, BARE: 2}
"""Once with the others, which take minutes."""
_MAX_RERUNS, _MAX_SECONDS = 2, 600.0
_COUNTERS = (counters.SHARED, counters.RESUMED)
_PARKING = (counters.PARKED, counters.RESTORED_FROM_MEMORY)
"""Of the full load only: a few short threads all fit the pool."""
_COLUMNS = (
    "who",
    "whole s",
    "tokens/s",
    "ratio",
    "first token s",
    "ratio",
    "by turn s",
    "ratios",
    "expected",
)
_TITLE = "Threads: 24 of 4 turns, 48 tokens each, 8 at once; ratios are Parley's to theirs"


async def measure(quick: bool) -> list[Table]:
    load = Load("threads", AT_ONCE, _QUICK if quick else ())
    with tempfile.TemporaryDirectory() as folder:
        async with everybody(
            Path(folder), quick=quick, llama_servers=tuple(LLAMA_SERVERS), num_slots=AT_ONCE
        ) as sides:
            before = await counters.read(sides.parley_url)
            wanted = {} if quick else _NUM_ROUNDS
            seeds = range(1, 1 + max(wanted.values(), default=1) + _MAX_RERUNS)
            runs = sides.under(load)
            found = await alternate(runs, seeds, 1, wanted, max_seconds=_MAX_SECONDS)
            found.notes.append(sides.chosen)
            counted = counters.moved(before, await counters.read(sides.parley_url))
    return [_table(found, counted, _COUNTERS if quick else (*_COUNTERS, *_PARKING))]


def _table(found: Found, counted: counters.Counters, demanded: Sequence[str]) -> Table:
    rows = [_row(name, found) for name in found.names]
    failures = [*found.failures, *counters.unmoved(counted, demanded)]
    notes = [*found.notes, counters.told(counted, demanded)]
    return Table(_TITLE, _COLUMNS, rows, notes, failures)


def _row(name: str, found: Found) -> tuple[str, ...]:
    turns = range(_num_turns(found))
    fast = first = by_turn = ""
    last = found.median(name, partial(_first_of, turns[-1]))
    grown = last / found.median(name, partial(_first_of, 0))
    expected = f"last turn's first to the first's {at_most(grown, MAX_LAST_FIRST)}"
    if name != PARLEY:
        ratios = [found.ratio(name, partial(_first_of, turn)) for turn in turns]
        fast, first = f"{found.ratio(name, speed):.2f}", f"{found.ratio(name, first_token):.2f}"
        by_turn = " ".join(f"{ratio:.2f}" for ratio in ratios)
        expected = _expected(name, found, max(ratios))
    return (
        name,
        f"{found.median(name, _whole):.0f}",
        f"{found.median(name, speed):.0f}",
        fast,
        f"{found.median(name, first_token):.2f}",
        first,
        " ".join(f"{found.median(name, partial(_first_of, turn)):.2f}" for turn in turns),
        by_turn,
        expected,
    )


def _expected(name: str, found: Found, worst_turn: float) -> str:
    if name in OF_LLAMA_SERVER:
        least, most = OF_LLAMA_SERVER[name]
        fast = at_least(found.ratio(name, speed), least)
        return f"tokens/s {fast}, first {at_most(found.ratio(name, first_token), most)}"
    if name == EXAMPLES:
        goal = at_most(found.ratio(name, first_token), GOAL_FIRST)
        return f"tokens/s {at_least(found.ratio(name, speed), MIN_SPEED)}; goal: first {goal}"
    return f"each turn's first {at_most(worst_turn, MAX_FIRST)}" if name == BARE else ""


def _num_turns(found: Found) -> int:
    return min(len(ours["ttft_p50_by_turn"]) for each in found.pairs.values() for _, ours in each)


def _whole(run: Json) -> float:
    return float(run["wall_s"])


def _first_of(turn: int, run: Json) -> float:
    return float(run["ttft_p50_by_turn"][turn])


if __name__ == "__main__":
    command.run(measure)
