"""``tests.scenarios.rambling`` with Discord's deadlines shortened, to be seen to pass."""

from __future__ import annotations

import asyncio

from adapters.discord import adapter
from adapters.discord.api import client
from tests.scenarios import rambling

HEARTBEAT_SECONDS = 2.0
IDENTIFY_SECONDS = 0.2
"""Of the 5 that discord.py waits before each IDENTIFY but the first."""


class HurriedClient(client.ParleyClient):
    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        await asyncio.sleep(IDENTIFY_SECONDS)


if __name__ == "__main__":
    adapter.ParleyClient = HurriedClient  # type: ignore[attr-defined]
    client._HEARTBEAT_SECONDS = HEARTBEAT_SECONDS
    rambling.run()
