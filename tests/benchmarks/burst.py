"""C users ask at once: Parley against llama-cpp-python's own server, in alternation."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bot.config import Settings
from tests.benchmarks import command, peer, servers
from tests.benchmarks.figures import Table, at_least, at_most

Json = dict[str, Any]
Pairs = list[tuple[Json, Json]]

CONCURRENCIES = (1, 4, 8, 16)
NUM_PAIRS = 3
_EXPECTED_AT = 8
_MAX_FIRST, _MIN_SPEED = 0.4, 1.8
_MAX_DIFFERENCE = 0.03
_LOAD_SECONDS = 300.0
_WARM_UP = 0

_COLUMNS = (
    "at once",
    "first token, theirs",
    "Parley",
    "ratio",
    "tokens/s, theirs",
    "Parley",
    "ratio",
    "expected",
)


async def measure(quick: bool) -> list[Table]:
    num_threads = Settings().num_threads
    with tempfile.TemporaryDirectory() as folder:
        theirs = peer.server(Path(folder) / "peer", num_threads=num_threads)
        ours = servers.parley(Path(folder) / "parley", {})
        async with theirs.running() as their_url, ours.running() as our_url:
            for url in (their_url, our_url):
                await _load(url, 2, _WARM_UP)
            sizes = (2, 4) if quick else CONCURRENCIES
            found = {c: await _pairs(their_url, our_url, c, 1 if quick else None) for c in sizes}
    return [_table(found)]


async def _pairs(theirs: str, ours: str, concurrency: int, num_pairs: int | None) -> Pairs:
    """Each pair has questions of its own, the same for both, and never asked before."""
    seeds = range(100 * concurrency, 100 * concurrency + (num_pairs or NUM_PAIRS))
    return [
        (await _load(theirs, concurrency, seed), await _load(ours, concurrency, seed))
        for seed in seeds
    ]


async def _load(url: str, concurrency: int, seed: int) -> Json:
    """Runs the load in a process of its own; raises RuntimeError if a request failed."""
    options = ("-c", str(concurrency), "--model", "smollm2", "--seed", str(seed))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.chat_load", url, *options),
        cwd=servers.ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_LOAD_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"the load on {url} failed")
    result: Json = json.loads(output)
    return result


def _table(found: dict[int, Pairs]) -> Table:
    title = "Burst: first token (median, s) and tokens/s against `python -m llama_cpp.server`"
    rows = [_row(concurrency, pairs) for concurrency, pairs in found.items()]
    notes = [note for concurrency, pairs in found.items() for note in flags(concurrency, pairs)]
    num_pairs = min(map(len, found.values()))
    return Table(title, _COLUMNS, rows, [f"medians of {num_pairs} pairs of runs", *notes])


def _row(concurrency: int, pairs: Pairs) -> tuple[str, ...]:
    first = [statistics.median(pair[who]["ttft_p50"] for pair in pairs) for who in (0, 1)]
    speed = [statistics.median(pair[who]["tokens_per_s"] for pair in pairs) for who in (0, 1)]
    first_ratio, speed_ratio = first[1] / first[0], speed[1] / speed[0]
    expected = f"{at_most(first_ratio, _MAX_FIRST)}, {at_least(speed_ratio, _MIN_SPEED)}"
    return (
        str(concurrency),
        f"{first[0]:.2f}",
        f"{first[1]:.2f}",
        f"{first_ratio:.2f}",
        f"{speed[0]:.0f}",
        f"{speed[1]:.0f}",
        f"{speed_ratio:.2f}",
        expected if concurrency == _EXPECTED_AT else "",
    )


def flags(concurrency: int, pairs: Pairs) -> list[str]:
    """Runs that said differently much are not compared without a word."""
    return [
        f"at {concurrency}, pair {number}: {theirs['tokens']} reply tokens against "
        f"{ours['tokens']}: NOT COMPARABLE"
        for number, (theirs, ours) in enumerate(pairs, 1)
        if abs(ours["tokens"] / theirs["tokens"] - 1) > _MAX_DIFFERENCE
    ]


if __name__ == "__main__":
    command.run(measure)
