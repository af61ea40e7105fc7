"""On a GPU: from one reply to 64, short and a thousand tokens deep. Not part of ``make bench``.

Decoding by the engine against a bare ``llama_decode`` loop, then whole servers over HTTP:
Parley beside llama-server, with its slots in one pool and with a part of it each.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from bot.inference.llama.backend import supports_gpu
from bot.inference.llama.options import Attention
from bot.settings.tables import Settings
from tests.benchmarks import command, floor, llama_server, servers
from tests.benchmarks.bare import layout_of, layouts
from tests.benchmarks.endless import options
from tests.benchmarks.figures import Row, Table, milliseconds
from tests.benchmarks.floor import Contest, Found
from tests.benchmarks.rounds import first_token, speed
from tests.benchmarks.sides import Json, Load, Side, over_http

SIZES, QUICK_SIZES = (1, 8, 32, 64), (1, 4)
WORDS = {36: 5, 1_000: 970}
"""Of a question, by the tokens that its prompt then has; with fewer there is no template."""
NUM_CELLS = 131_072
NUM_PAIRS, SLICE_SECONDS = 3, 1.0
NUM_ROUNDS, NUM_TOKENS = 3, 128
_WARM_UP = 0
_FLOOR_COLUMNS = (
    "depth",
    "replies",
    "bare loop",
    "bare tokens/s",
    "engine tokens/s",
    "engine ms/step",
    "ratio",
)
_HTTP_COLUMNS = ("depth", "replies", "who", "first token s", "tokens/s")
_CPU = "llama.cpp was built without a GPU, or there is none: these figures are a CPU's"


async def decoding(quick: bool) -> list[Table]:
    """Each side has cells of its own; prompts differ, so that nothing is shared."""
    sizes = QUICK_SIZES if quick else SIZES
    num_rounds, seconds = (1, 0.3) if quick else (NUM_PAIRS, SLICE_SECONDS)
    chosen = options(max_running=max(sizes), num_cells=4_096 if quick else NUM_CELLS)
    candidates = [each for each in layouts(chosen) if each.attention == Attention.FLASH]
    rows = []
    for depth in floor.DEPTHS[:1] if quick else floor.DEPTHS:
        async with floor.contestants(chosen) as sides:
            for size in sizes:
                found = await Contest(sides, size, depth).held(candidates, num_rounds, seconds)
                rows.append(_told(_floor_row(depth, size, found)))
    title = "Decoding: the engine against the best bare llama_decode loop with flash attention"
    note = f"medians of {num_rounds} pairs of slices of {seconds:g} s, from the depth named on"
    return [Table(title, _FLOOR_COLUMNS, rows, [note, *_notes()])]


async def serving(quick: bool) -> list[Table]:
    """Everybody asks at once; a token counts from the first question to the last answer."""
    sizes, depths = (QUICK_SIZES, (36,)) if quick else (SIZES, tuple(WORDS))
    num_rounds = 1 if quick else NUM_ROUNDS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            sides: dict[str, Side] = {}
            for name, server in _servers(Path(folder), max(sizes), quick=quick).items():
                sides[name] = partial(over_http, await stack.enter_async_context(server.running()))
                await sides[name](Load("burst", max(sizes)), _WARM_UP)
            for depth in depths:
                for size in sizes:
                    found = await _rounds(sides, depth, size, num_rounds)
                    rows += [_told(_http_row(depth, size, *each)) for each in found.items()]
    title = f"Serving: everybody asks at once, {NUM_TOKENS} tokens each"
    return [Table(title, _HTTP_COLUMNS, rows, [f"medians of {num_rounds} rounds", *_notes()])]


def _told(row: Row) -> Row:
    """Printed at once, too: a machine with a GPU may be lent for minutes."""
    print(*row, flush=True)
    return row


def _notes() -> list[str]:
    return [] if supports_gpu() else [_CPU]


def _servers(folder: Path, size: int, *, quick: bool) -> dict[str, servers.Server]:
    """``quick``: without llama-server, which takes ten minutes to build."""
    settings = {
        "PARLEY_KV_TOKENS": str(NUM_CELLS),
        "PARLEY_RUNNING": str(size),
        "PARLEY_PER_MINUTE": "0",
    }
    found = {"Parley": servers.parley(folder / "parley", settings)}
    if quick:
        return found
    layouts = {"llama-server": "--kv-unified", "llama-server, a part each": "--no-kv-unified"}
    for name, layout in layouts.items():
        found[name] = llama_server.server(
            folder / layout,
            num_threads=Settings().num_threads,
            num_cells=NUM_CELLS,
            num_slots=size,
            flags=(layout,),
        )
    return found


async def _rounds(
    sides: dict[str, Side], depth: int, size: int, num_rounds: int
) -> dict[str, list[Json]]:
    """In alternation; nobody is asked the same twice."""
    lengths = ("--max-tokens", str(NUM_TOKENS), "--prompt-words", str(WORDS[depth]))
    load = Load("burst", size, lengths)
    found: dict[str, list[Json]] = {name: [] for name in sides}
    for number in range(num_rounds):
        for name, side in sides.items():
            found[name].append(await side(load, depth + 100 * size + number))
    return found


def _floor_row(depth: int, size: int, found: Found) -> Row:
    pairs = found.pairs
    bare = statistics.median(pair.bare.tokens_per_second for pair in pairs)
    engine = statistics.median(pair.engine.tokens_per_second for pair in pairs)
    step = statistics.median(pair.engine.step_seconds for pair in pairs)
    ratio = statistics.median(pair.ratio for pair in pairs)
    rates = f"{bare:.0f}", f"{engine:.0f}", milliseconds(step), f"{ratio:.2f}"
    return (f"{depth:,}", str(size), layout_of(found.best), *rates)


def _http_row(depth: int, size: int, name: str, runs: Sequence[Json]) -> Row:
    first = statistics.median(map(first_token, runs))
    fast = statistics.median(map(speed, runs))
    return (f"{depth:,}", str(size), name, f"{first:.3f}", f"{fast:.0f}")


if __name__ == "__main__":
    command.run(decoding, serving)
