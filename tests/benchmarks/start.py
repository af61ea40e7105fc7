"""How long a person waits after ``python -m bot run``: for its first line, and until it is ready.

The caches are warm: the first start, which is not counted, makes the faster copy of the model
and the bytecode. Everything is counted from the moment the process is asked for.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks import command
from tests.benchmarks.figures import Table, at_most
from tests.benchmarks.servers import ROOT

FIRST_LINE, READY = 0.3, 3.0
_NUM_STARTS, _NUM_QUICK = 15, 2
_COLUMNS = ("until", "median s", "worst s", "expected")


async def measure(quick: bool) -> list[Table]:
    with tempfile.TemporaryDirectory() as folder:
        await _start(Path(folder))
        starts = [await _start(Path(folder)) for _ in range(_NUM_QUICK if quick else _NUM_STARTS)]
    first, ready = zip(*starts, strict=True)
    rows = [
        ("the first line", _shown(median(first)), _shown(max(first)), _verdict(first, FIRST_LINE)),
        ("ready", _shown(median(ready)), _shown(max(ready)), _verdict(ready, READY)),
    ]
    return [Table(f"Start, {len(starts)} times, with warm caches", _COLUMNS, rows)]


async def _start(folder: Path) -> tuple[float, float]:
    """Seconds until the first line, and until Parley is ready."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PARLEY_PORT": "0",
        },
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        await process.stdout.readline()
        first = loop.time() - began
        async for line in process.stdout:
            if line.startswith(b"Ready"):
                return first, loop.time() - began
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
    raise RuntimeError("Parley ended before it was ready")


def _shown(seconds: float) -> str:
    return f"{seconds:.2f}"


def _verdict(seconds: tuple[float, ...], bound: float) -> str:
    return at_most(median(seconds), bound)


if __name__ == "__main__":
    command.run(measure)
