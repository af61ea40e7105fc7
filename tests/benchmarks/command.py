"""How every benchmark is started: the machine first, then its tables, within a time limit."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from tests.benchmarks import machine
from tests.benchmarks.figures import Table
from tests.venvs import PackagesMissing

Measure = Callable[[bool], Awaitable[Sequence[Table]]]
"""``quick`` proves that it works; its figures are worth nothing."""

MAX_SECONDS = 1800.0
_FAILURES = (PackagesMissing, RuntimeError, aiohttp.ClientError, subprocess.CalledProcessError)


def run(*benchmarks: Measure) -> None:
    """Ends with exit code 1 if one of them could not measure what it is for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="short runs; prove that it works")
    quick = parser.parse_args().quick
    print(machine.describe(), flush=True)
    has_failed = False
    for measure in benchmarks:
        for table in asyncio.run(_bounded(measure, quick)):
            print(f"\n{table}", flush=True)
            has_failed |= bool(table.failures)
    sys.exit(1 if has_failed else 0)


async def _bounded(measure: Measure, quick: bool) -> Sequence[Table]:
    """What fails or takes too long must not keep the others from being measured.

    SIGTERM cancels it, so that the servers it started end with it.
    """
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with asyncio.timeout(MAX_SECONDS):
            return await measure(quick)
    except TimeoutError:
        failure = f"it did not end within {MAX_SECONDS:.0f} s"
    except _FAILURES as error:
        failure = f"it ended early: {error}"
    name = Path(inspect.getfile(measure)).stem  # its __module__ is __main__ if it runs alone
    return [Table(name, (), [], failures=[failure])]
