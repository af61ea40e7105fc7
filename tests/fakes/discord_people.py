"""People on the fake Discord; their actions become gateway events."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from bot.ports import Clock
from tests.fakes.discord_gateway import FakeGateway
from tests.fakes.discord_guild import ADA, APP, BOT, CHANNEL, Asked, FakeServer, Json

TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.fake-token"
ACK_SECONDS = 3.0


class FakePeople(FakeServer):
    """``gateway_url`` and ``files_url`` are set once it serves.

    ``ack_seconds``: how long an interaction waits for its acknowledgement.
    """

    gateway_url = files_url = ""

    def __init__(self, clock: Clock, *, message_content: bool = True) -> None:
        super().__init__(clock, message_content=message_content)
        self.gateway = FakeGateway(self, TOKEN, lambda: self.gateway_url)
        self.files: dict[str, bytes] = {}
        self.ack_seconds = ACK_SECONDS
        self._tokens = itertools.count(1)

    async def until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the bot is another process
                await asyncio.sleep(0.01)

    async def say(
        self, text: str, *, user: str = ADA, channel: str = CHANNEL, reply_to: str = "", **more: Any
    ) -> str:
        """Write a message; its id."""
        if reply_to:
            reference = {"type": 0, "channel_id": channel, "message_id": reply_to}
            more["message_reference"] = reference
            more["referenced_message"] = dict(self.messages[reply_to])
        message = self.keep(channel, user, text, **more)
        await self.gateway.dispatch("MESSAGE_CREATE", self.event_of(message), self._guild(channel))
        return str(message["id"])

    async def ask(self, text: str, *, user: str = ADA, channel: str = CHANNEL, **more: Any) -> str:
        return await self.say(f"<@{BOT}> {text}", user=user, channel=channel, **more)

    def attached(self, name: str, data: bytes, media_type: str) -> Json:
        """A file as a message carries it."""
        self.files[name] = data
        url = f"{self.files_url}/{name}"
        return {
            "id": self.snowflake(),
            "filename": name,
            "size": len(data),
            "url": url,
            "proxy_url": url,
            "content_type": media_type,
        }

    async def change_text(self, message_id: str, text: str) -> None:
        message = self.messages[message_id]
        replied = message.get("referenced_message") or {}
        message |= {"content": text, "mentions": self.mentions(text, replied)}
        message["edited_timestamp"] = self.clock.now().isoformat()
        await self.touch(message_id)

    async def touch(self, message_id: str) -> None:
        """Send the message again unchanged, as Discord does for an unfurled link."""
        message = self.messages[message_id]
        guild = self._guild(message["channel_id"])
        await self.gateway.dispatch("MESSAGE_UPDATE", self.event_of(message), guild)

    async def erase(self, message_id: str) -> None:
        message = self.messages.pop(message_id)
        event = {"id": message_id, "channel_id": message["channel_id"]}
        guild = self._guild(message["channel_id"])
        event |= {"guild_id": guild} if guild else {}
        await self.gateway.dispatch("MESSAGE_DELETE", event, guild)

    async def react(self, message_id: str, emoji: str = "🛑", *, user: str = ADA) -> None:
        event, guild = self._reaction(message_id, emoji, user)
        event |= {"member": self.member(user)} if guild else {}
        await self.gateway.dispatch("MESSAGE_REACTION_ADD", event, guild)

    async def unreact(self, message_id: str, emoji: str, *, user: str = ADA) -> None:
        """Discord does not say more of who took it away than their id."""
        event, guild = self._reaction(message_id, emoji, user)
        await self.gateway.dispatch("MESSAGE_REACTION_REMOVE", event, guild)

    def _reaction(self, message_id: str, emoji: str, user: str) -> tuple[Json, str | None]:
        channel = self.messages[message_id]["channel_id"]
        event = {
            "user_id": user,
            "channel_id": channel,
            "message_id": message_id,
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
        }
        guild = self._guild(channel)
        return (event | {"guild_id": guild} if guild else event), guild

    async def slash(
        self, name: str, /, *, sub: str = "", user: str = ADA, channel: str = CHANNEL, **given: Any
    ) -> Asked:
        """Use a slash command; returns once it is acknowledged, or after ``ack_seconds``."""
        options = [
            {"name": key, "type": 5 if isinstance(value, bool) else 3, "value": value}
            for key, value in given.items()
        ]
        if sub:
            options = [{"name": sub, "type": 1, "options": options}]
        data = {"id": "1", "name": name, "type": 1, "options": options}
        return await self.interact(2, data, user=user, channel=channel)

    async def press(self, message_id: str, label: str, *, user: str = ADA) -> Asked:
        data = {"component_type": 2, "custom_id": self.buttons(message_id)[label]}
        return await self.press_id(message_id, data, user=user)

    async def press_id(self, message_id: str, data: Json, *, user: str = ADA) -> Asked:
        message = self.messages[message_id]
        return await self.interact(
            3, data, user=user, channel=message["channel_id"], message=message
        )

    async def interact(
        self, kind: int, data: Json, *, user: str = ADA, channel: str = CHANNEL, **more: Any
    ) -> Asked:
        asked = Asked(
            self.snowflake(), f"token-{next(self._tokens)}", channel, user, self.clock.monotonic()
        )
        asked.kind, asked.message = kind, more.get("message", {}).get("id", "")
        self.interactions[asked.id] = asked
        guild = self._guild(channel)
        person = {"member": {**self.member(user), "permissions": self.permissions(user)}}
        payload = {
            "id": asked.id,
            "application_id": APP,
            "type": kind,
            "token": asked.token,
            "version": 1,
            "channel_id": channel,
            "channel": self.channels[channel],
            "data": data,
            "locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {},
            "attachment_size_limit": 0,
            **({"guild_id": guild, **person} if guild else {"user": self.user(user)}),
            **more,
        }
        await self.gateway.dispatch("INTERACTION_CREATE", payload, guild)
        try:
            await self.until(lambda: asked.callback is not None, self.ack_seconds)
        except TimeoutError:
            asked.callback = None
        return asked

    def answer_to(self, asked: Asked) -> str | None:
        """The text of the answer to an interaction."""
        return self.text(asked.original) if asked.original else None

    def event_of(self, message: Json) -> Json:
        guild = self._guild(message["channel_id"])
        event = self.seen_by_bot(message)
        if guild:
            member = self.member(message["author"]["id"], full=False)
            event = {**event, "guild_id": guild, "member": member}
        return event

    def _guild(self, channel: str) -> str | None:
        found: str | None = self.channels.get(channel, {}).get("guild_id")
        return found
