"""What a start with a thousand servers costs: memory, and time until Parley is ready.

The process is Parley's own, with its model; beside it one start with a single server, so
that the difference is what the servers cost.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psutil

from tests.benchmarks import command, servers
from tests.benchmarks.figures import Table
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.discord_guild import Json

_COLUMNS = ("servers", "channels", "shards", "ready after s", "memory MB")
_NUM_CHANNELS = 30
_STARTS = ((1, 1), (1000, 1), (1000, 2))
_QUICK_STARTS = ((20, 1),)


async def measure(quick: bool) -> list[Table]:
    starts = _QUICK_STARTS if quick else _STARTS
    rows = [await _start(num_guilds, num_shards) for num_guilds, num_shards in starts]
    return [Table("Discord: start with many servers (in the fake)", _COLUMNS, rows)]


async def _start(num_guilds: int, num_shards: int) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeDiscord(num_shards=num_shards) as discord:
            discord.gateway.guilds = [str((10_000 + n) << 22) for n in range(num_guilds)]
            discord.gateway.make_guild = lambda guild: _guild(discord, guild)
            began = asyncio.get_running_loop().time()
            async with servers.parley(Path(folder), _settings(discord)).started() as pid:
                await discord.until(lambda: discord.commands)
                seconds = asyncio.get_running_loop().time() - began
                memory = psutil.Process(pid).memory_info().rss
    shown = (num_guilds, num_guilds * _NUM_CHANNELS, num_shards)
    return (*map(str, shown), f"{seconds:.1f}", f"{memory / 1e6:.0f}")


def _settings(discord: FakeDiscord) -> dict[str, str]:
    return {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": discord.api_url,
        "DISCORD_GATEWAY_URL": discord.gateway_url,
    }


def _guild(discord: FakeDiscord, guild_id: str) -> Json:
    guild = discord.guild(guild_id)
    base = int(guild_id)
    channels = [
        {**discord.text_channel(str(base + n), f"channel-{n}"), "guild_id": guild_id}
        for n in range(1, _NUM_CHANNELS + 1)
    ]
    return {**guild, "channels": channels, "members": [guild["members"][0]]}


if __name__ == "__main__":
    command.run(measure)
