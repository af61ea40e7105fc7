"""How long a person on Discord waits for "Parley is thinking" while the model is busy."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import command, servers
from tests.benchmarks.busy import busy_model
from tests.benchmarks.figures import Table, at_most, milliseconds, percentile
from tests.fakes.discord import TOKEN, FakeDiscord

RATE = 50
SECONDS = 5
MAX_P99_MS = 500.0
_COLUMNS = ("interactions", "p50 ms", "p99 ms", "max ms", "late", "429s", "expected")


async def measure(quick: bool) -> list[Table]:
    seconds = 1 if quick else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        async with FakeDiscord() as discord:
            waits = await _waits(Path(folder), discord, seconds)
            row = _row(waits, RATE * seconds, discord.num_rate_limited)
    title = f"Discord: defer at {RATE} interactions/s for {seconds} s, 16 replies streaming"
    return [Table(title, _COLUMNS, [row])]


async def _waits(folder: Path, discord: FakeDiscord, seconds: int) -> list[float]:
    """Seconds from INTERACTION_CREATE to the callback, of those that were in time."""
    settings = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": discord.api_url,
        "DISCORD_GATEWAY_URL": discord.gateway_url,
        "PARLEY_MAX_IN_FLIGHT": "0",
        "PARLEY_PER_MINUTE": "0",
    }
    async with servers.parley(folder, settings).running() as url, busy_model(url):
        await discord.until(lambda: discord.gateway.is_connected)
        tasks = []
        for number in range(RATE * seconds):
            question = discord.slash("ask", question=f"Is {number} odd?")
            tasks.append(asyncio.create_task(question))
            await asyncio.sleep(1 / RATE)
        asked = await asyncio.gather(*tasks)
    return [each.acked_after for each in asked if each.acked_after is not None]


def _row(waits: Sequence[float], num_asked: int, num_refused: int) -> tuple[str, ...]:
    p99 = percentile(waits, 0.99)
    shown = (percentile(waits, 0.5), p99, max(waits, default=0.0))
    late = num_asked - len(waits)
    verdict = at_most(p99 * 1000 if not late else float("inf"), MAX_P99_MS)
    return (str(num_asked), *map(milliseconds, shown), str(late), str(num_refused), verdict)


if __name__ == "__main__":
    command.run(measure)
