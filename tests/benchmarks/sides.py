"""Parley, both servers of llama-cpp-python and the bare loop under the same load."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bot.config import Settings
from tests.benchmarks import examples_server, llama_server, peer, servers

Json = dict[str, Any]

PARLEY, EXAMPLES = "Parley", "examples/server"
LLAMA_CPP_SERVER, LLAMA_SERVER, BARE = "llama_cpp.server", "llama-server", "bare loop"
LLAMA_SERVER_BEST = "llama-server -fa off"
LLAMA_SERVERS = {LLAMA_SERVER: (), LLAMA_SERVER_BEST: llama_server.FOR_DEPTH}
"""With its defaults, and with its best flags for threads and replies at depth."""
_LOAD_SECONDS = 300.0
_WARM_UP = 0
"""The seed of the questions before the first that is measured."""


@dataclass(frozen=True, slots=True)
class Load:
    """``options`` of ``chat_load`` beside the scenario and how many ask at once."""

    scenario: str
    at_once: int
    options: tuple[str, ...] = ()


Run = Callable[[int], Awaitable[Json]]
"""One run with a seed: every side is asked the same, and has never been asked it before."""

Side = Callable[[Load, int], Awaitable[Json]]
"""Runs a load with a seed, in a process of its own; what ``chat_load`` prints."""


@dataclass(frozen=True, slots=True)
class Sides:
    """``parley_url`` is where Parley's counters are; ``chosen`` tells how Parley decodes."""

    by_name: Mapping[str, Side]
    parley_url: str
    chosen: str

    def under(self, load: Load) -> dict[str, Run]:
        return {name: partial(side, load) for name, side in self.by_name.items()}


@asynccontextmanager
async def everybody(
    folder: Path,
    *,
    quick: bool,
    llama_servers: Sequence[str] = (LLAMA_SERVER,),
    num_slots: int = llama_server.NUM_SLOTS,
) -> AsyncIterator[Sides]:
    """All of them with the same model file, threads and pool, each a process of its own.

    ``quick``: without llama-server, which takes ten minutes to build. ``num_slots``: its own.
    """
    settings = Settings()
    num_threads, num_cells = settings.num_threads, settings.kv_tokens
    parley = servers.parley(folder / "parley", {})
    examples = examples_server.server(
        folder / "examples", num_threads=num_threads, num_cells=num_cells
    )
    theirs = peer.server(folder / "llama_cpp", num_threads=num_threads, n_ctx=str(num_cells))
    by_name = {PARLEY: parley, EXAMPLES: examples, LLAMA_CPP_SERVER: theirs}
    for name in () if quick else llama_servers:
        by_name[name] = llama_server.server(
            folder / name,
            num_threads=num_threads,
            num_cells=num_cells,
            num_slots=num_slots,
            flags=LLAMA_SERVERS[name],
        )
    async with AsyncExitStack() as stack:
        served = {
            name: partial(over_http, await stack.enter_async_context(server.running()))
            for name, server in by_name.items()
        }
        for side in served.values():
            await side(Load("burst", 2), _WARM_UP)
        chosen = f"{PARLEY}: {parley.told('speed')}"
        yield Sides({**served, BARE: _bare}, parley.url, chosen)


async def over_http(url: str, load: Load, seed: int) -> Json:
    return await _run("tests.benchmarks.chat_load", url, load, seed)


async def _bare(load: Load, seed: int) -> Json:
    return await _run("tests.benchmarks.bare_load", "bare", load, seed)


async def _run(program: str, url: str, load: Load, seed: int) -> Json:
    """Raises RuntimeError if a request failed."""
    how = ("--scenario", load.scenario, "-c", str(load.at_once), "--seed", str(seed))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program, url, "--model", "smollm2", *how, *load.options),
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
