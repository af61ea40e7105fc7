"""Runs in alternation, of which only those count in which both sides said as much."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.sides import PARLEY, Json, Run

MAX_DIFFERENCE = 0.03


@dataclass(slots=True)
class Found:
    """``pairs``: their run and Parley's of the same round, where they are comparable."""

    pairs: dict[str, list[tuple[Json, Json]]]
    notes: list[str] = field(default_factory=list)

    def ratio(self, name: str, figure: Callable[[Json], float]) -> float:
        """Parley's to theirs, median over the rounds."""
        return statistics.median(figure(ours) / figure(theirs) for theirs, ours in self.pairs[name])

    def median(self, name: str, figure: Callable[[Json], float]) -> float:
        runs = [pair for pairs in self.pairs.values() for _, pair in pairs]
        if name != PARLEY:
            runs = [theirs for theirs, _ in self.pairs[name]]
        return statistics.median(figure(run) for run in runs)

    @property
    def names(self) -> list[str]:
        """Who can be compared, Parley first."""
        found = [name for name, pairs in self.pairs.items() if pairs]
        return [PARLEY, *found] if found else []

    @property
    def failures(self) -> list[str]:
        return [
            f"no run of {name} was comparable" for name, pairs in self.pairs.items() if not pairs
        ]


async def alternate(
    runs: Mapping[str, Run],
    seeds: Sequence[int],
    num_wanted: int,
    wanted_of: Mapping[str, int] | None = None,
    rest: float = 0.0,
    max_seconds: float = float("inf"),
) -> Found:
    """``num_wanted`` comparable pairs of each side with Parley, as far as ``seeds`` suffice.

    ``wanted_of``: where a side is to have another number of them. Who begins changes from
    round to round. A side that has its pairs is left out. ``rest``: seconds before each run, or
    else whoever ends a round and begins the next is slower than others. After ``max_seconds``
    no second round begins, and no later one.
    """
    found = Found({name: [] for name in runs if name != PARLEY})
    ends_at = time.monotonic() + max_seconds
    for number, seed in enumerate(seeds):
        lacking = [
            name
            for name, pairs in found.pairs.items()
            if len(pairs) < (wanted_of or {}).get(name, num_wanted)
        ]
        if not lacking or (number and time.monotonic() >= ends_at):
            break
        results = {}
        for name in order([PARLEY, *lacking], number):
            await asyncio.sleep(rest)
            results[name] = await runs[name](seed)
        _take(found, results, number + 1)
    return found


def first_token(run: Json) -> float:
    """Median, in seconds."""
    return float(run["ttft_p50"])


def speed(run: Json) -> float:
    """Tokens a second."""
    return float(run["tokens_per_s"])


def order(names: Sequence[str], number: int) -> list[str]:
    """Who begins changes from round to round."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def _take(found: Found, results: Mapping[str, Json], number: int) -> None:
    ours = results[PARLEY]
    for name in found.pairs.keys() & results.keys():
        theirs = results[name]
        if difference(theirs, ours) <= MAX_DIFFERENCE:
            found.pairs[name].append((theirs, ours))
        else:
            found.notes.append(
                f"round {number}: {name} said {theirs['tokens']} tokens and Parley "
                f"{ours['tokens']}: does not count"
            )


def difference(one: Json, other: Json) -> float:
    """Of the tokens said, as a share of the larger."""
    few, many = sorted((one["tokens"], other["tokens"]))
    return 1 - float(few) / many if many else 0.0
