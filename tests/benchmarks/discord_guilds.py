"""What a start with a thousand servers costs: memory, and time until Parley is ready."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

from tests.adapters.discord.conftest import make_adapter
from tests.benchmarks import command
from tests.benchmarks.figures import Table
from tests.fakes.discord import FakeDiscord
from tests.fakes.discord_guild import Json

_COLUMNS = ("servers", "channels", "shards", "ready after s", "memory MB")
_NUM_CHANNELS = 30


async def measure(quick: bool) -> list[Table]:
    rows = [await _start(50 if quick else 1000, shards) for shards in (1, 2)]
    return [Table("Discord: start with many servers (in the fake)", _COLUMNS, rows)]


async def _start(num_guilds: int, num_shards: int) -> tuple[str, ...]:
    async with FakeDiscord(num_shards=num_shards) as discord:
        discord.gateway.guilds = [str((10_000 + n) << 22) for n in range(num_guilds)]
        discord.gateway.make_guild = lambda guild: _guild(discord, guild)
        gc.collect()
        tracemalloc.start()
        began = asyncio.get_running_loop().time()
        async with make_adapter(discord) as adapter:
            seconds = asyncio.get_running_loop().time() - began
            _forget_what_was_sent(discord)
            memory = tracemalloc.get_traced_memory()[0]
            assert len(adapter._there._client.guilds) == num_guilds
        tracemalloc.stop()
    shown = (num_guilds, num_guilds * _NUM_CHANNELS, num_shards)
    return (*map(str, shown), f"{seconds:.1f}", f"{memory / 1e6:.0f}")


def _forget_what_was_sent(discord: FakeDiscord) -> None:
    """What the fake keeps for RESUME is not Parley's."""
    for session in discord.gateway.sessions:
        session.sent.clear()
    gc.collect()


def _guild(discord: FakeDiscord, guild_id: str) -> Json:
    guild = discord.guild(guild_id)
    base = int(guild_id)
    channels = [
        {**discord._text_channel(str(base + n), f"channel-{n}"), "guild_id": guild_id}
        for n in range(1, _NUM_CHANNELS + 1)
    ]
    return {**guild, "channels": channels, "members": [guild["members"][0]]}


if __name__ == "__main__":
    command.run(measure)
