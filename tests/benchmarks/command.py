"""How every benchmark is started: the machine first, then its tables, within a time limit."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tests.benchmarks import machine
from tests.benchmarks.figures import Table

Measure = Callable[[bool], Awaitable[Sequence[Table]]]
"""``quick`` proves that it works; its figures are worth nothing."""

MAX_SECONDS = 600.0


def run(*benchmarks: Measure) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="short runs; prove that it works")
    quick = parser.parse_args().quick
    print(machine.describe(), flush=True)
    for measure in benchmarks:
        for table in asyncio.run(_bounded(measure, quick)):
            print(f"\n{table}", flush=True)


async def _bounded(measure: Measure, quick: bool) -> Sequence[Table]:
    """What takes too long must not keep the others from being measured."""
    try:
        async with asyncio.timeout(MAX_SECONDS):
            return await measure(quick)
    except TimeoutError:
        return [Table(f"{measure.__module__} did not end within {MAX_SECONDS:.0f} s", (), [])]
