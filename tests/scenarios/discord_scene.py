"""Parley as a process beside the strict fake Discord, found through ``DISCORD_API_URL``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.discord_guild import BOSS, BOT, GUILD, OTHER_CHANNEL
from tests.ports import free_port
from tests.scenarios.disk import TurnRow, turn_rows
from tests.scenarios.parley import Parley
from tests.scenarios.personalities import BRAKE, RAMBLING, make_personalities
from tests.scenarios.polling import eventually

SECONDS = 60.0
LONG_CHANNEL = OTHER_CHANNEL
"""There the rambler answers, up to the length limit."""

WAITING = ("Thinking", "You are", "Next in")


def settings(discord: FakeDiscord, **more: str) -> dict[str, str]:
    return {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": discord.api_url,
        "DISCORD_GATEWAY_URL": discord.gateway_url,
        "PARLEY_MAX_TOKENS": "60",
        "PARLEY_ADMINS": f"discord:{GUILD}/{BOSS}",
        **more,
    }


class Scene:
    """What people do and see, and what is on disk."""

    def __init__(self, discord: FakeDiscord, parley: Parley, brake: Path) -> None:
        """While the file ``brake`` is there, even a short reply grows for some seconds."""
        self.discord = discord
        self.parley = parley
        self.brake = brake

    async def ask_for_much(self, **more: Any) -> str:
        """A question whose reply goes on up to the length limit."""
        return await self.discord.ask("Tell me a story.", channel=LONG_CHANNEL, **more)

    def replies(self, channel: str) -> list[str]:
        """The ids of what Parley says in a channel, oldest first."""
        own = [m for m in self.discord.messages.values() if m["channel_id"] == channel]
        return sorted((m["id"] for m in own if m["author"]["id"] == BOT), key=int)

    def is_final(self, message: str) -> bool:
        return message in self.discord.messages and "Retry" in self.discord.buttons(message)

    async def placeholder(self, channel: str) -> str:
        """Until one stands there; its id."""
        await self.discord.until(lambda: self.replies(channel), SECONDS)
        (message,) = self.replies(channel)
        return message

    async def grows(self, channel: str, *, after: int = 0) -> str:
        """Until its only reply shows words, not counting the first ``after`` sights; its id."""

        def has_grown() -> bool:
            shown = self.discord.shown[after:]
            own = [text for _, seen, text in shown if seen in self.replies(channel)]
            return any(not text.startswith(WAITING) for text in own)

        await self.discord.until(has_grown, SECONDS)
        (message,) = self.replies(channel)
        return message

    async def ends(self, message: str, *, within: float = SECONDS) -> str:
        """Until this reply is a finished one; its text."""
        await self.discord.until(lambda: self.is_final(message), within)
        text = self.discord.text(message) or ""
        assert text
        assert not text.startswith(WAITING)
        return text

    async def ends_alone(self, channel: str) -> str:
        """Until the channel's reply is finished, in all the messages that stand there; the
        last one's id."""
        await self.discord.until(lambda: any(map(self.is_final, self.replies(channel))), SECONDS)
        await eventually(lambda: self.turn(channel).is_finished, what=self.parley.output)
        messages = self.replies(channel)
        assert [f"{channel}/{each}" for each in messages] == list(self.turn(channel).posts)
        await self.ends(messages[-1])
        return messages[-1]

    def turn(self, question: str) -> TurnRow:
        """What is on disk of the question with this message id."""
        rows = turn_rows(self.parley.database)
        return next(row for key, row in rows.items() if key.endswith(f"/{question}"))


@asynccontextmanager
async def scene(folder: Path, module: str = RAMBLING, **more: str) -> AsyncIterator[Scene]:
    """Up, connected, its commands registered; all are brief but who is in ``LONG_CHANNEL``."""
    personalities = str(make_personalities(folder / "personalities"))
    async with FakeDiscord() as discord:
        discord.gateway.heartbeat_interval = 0.3
        more = {"PARLEY_PERSONALITY": "brief", **more}
        brake = folder / "brake"
        more[BRAKE] = str(brake)
        own = settings(discord, PARLEY_PERSONALITIES=personalities, **more)
        parley = Parley(folder, free_port(), own, module)
        try:
            await parley.start()
            await discord.until(lambda: discord.gateway.is_connected and discord.commands)
            chosen = {"sub": "personality", "name": "rambler"}
            await discord.slash("parley", user=BOSS, channel=LONG_CHANNEL, **chosen)
            yield Scene(discord, parley, brake)
        finally:
            await parley.kill()
        assert discord.violations == []
        assert "Traceback" not in parley.output, parley.output
