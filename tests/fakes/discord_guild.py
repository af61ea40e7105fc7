"""A server as Discord keeps it: state, rules and payloads, no wire (see ``tests.fakes.discord``).

It refuses what Discord refuses (foreign messages, sizes, strangers, dead tokens) and notes in
``violations`` what Discord would let pass but Parley must never do.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from adapters.discord.api.ids import created_at
from bot.ports import Clock
from tests.fakes.discord_payloads import (
    ADA,
    ADULT,
    APP,
    BOB,
    BOSS,
    BOSS_ROLE,
    BOT,
    CHANNEL,
    DIRECT,
    GUILD,
    OTHER_CHANNEL,
    Asked,
    FakePayloads,
    Json,
    numbered,
)

__all__ = [
    "ADA",
    "ADULT",
    "APP",
    "BOB",
    "BOSS",
    "BOSS_ROLE",
    "BOT",
    "CHANNEL",
    "DIRECT",
    "GUILD",
    "OTHER_CHANNEL",
    "Asked",
    "FakeServer",
    "Json",
    "Refused",
    "numbered",
]

MAX_TEXT = 2000
_CODE = re.compile(r"```.+?```|(`+).+?\1", re.DOTALL)


class Refused(Exception):
    """A refusal: Discord's status, code and message."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, **({"errors": errors} if errors else {})}


UNKNOWN_CHANNEL = Refused(404, 10003, "Unknown Channel")
UNKNOWN_MESSAGE = Refused(404, 10008, "Unknown Message")
UNKNOWN_INTERACTION = Refused(404, 10062, "Unknown interaction")
MISSING_ACCESS = Refused(403, 50001, "Missing Access")
MISSING_PERMISSIONS = Refused(403, 50013, "Missing Permissions")
TOO_LONG = Refused(
    400,
    50035,
    "Invalid Form Body",
    {
        "content": {
            "_errors": [
                {
                    "code": "BASE_TYPE_MAX_LENGTH",
                    "message": "Must be 2000 or fewer in length.",
                }
            ]
        }
    },
)


class FakeServer(FakePayloads):
    """``forbidden``: (what, channel) that the bot may not do: ``write``, ``read``, ``thread``,
    ``write in threads``, ``see``. ``filter``: words that are blocked, and with which code.
    """

    def __init__(self, clock: Clock, *, message_content: bool = True) -> None:
        super().__init__(clock, message_content=message_content)
        self.violations: list[str] = []
        self.forbidden: set[tuple[str, str]] = set()
        self.filter: dict[str, int] = {}
        self.messages: dict[str, Json] = {}
        self.hidden: dict[str, str] = {}
        self.interactions: dict[str, Asked] = {}
        self.commands: list[Json] = []
        self.guild_commands: dict[str, list[Json]] = {}
        self.reactions: set[tuple[str, str]] = set()
        self.shown: list[tuple[float, str, str]] = []
        self.nonces: dict[str, str] = {}
        self.num_typings = 0
        self.token_seconds = 15 * 60.0

    # What a person sees

    def text(self, message_id: str) -> str | None:
        message = self.messages.get(message_id)
        return None if message is None else str(message["content"])

    def texts(self, channel: str, author: str = BOT) -> list[str]:
        """The bot's messages in a channel, oldest first, without those for one person."""
        here = sorted(self.messages.values(), key=lambda m: int(m["id"]))
        return [
            m["content"]
            for m in here
            if m["channel_id"] == channel
            and m["author"]["id"] == author
            and m["id"] not in self.hidden
        ]

    def whispers(self, user: str = ADA) -> list[str]:
        """The messages that only this person sees."""
        return [self.messages[m]["content"] for m, reader in self.hidden.items() if reader == user]

    def buttons(self, message_id: str) -> dict[str, str]:
        """Label -> id of the buttons under a message."""
        rows = self.messages[message_id].get("components", [])
        parts = [part for row in rows for part in row["components"]]
        return {part["label"]: part["custom_id"] for part in parts if part["type"] == 2}

    # Rules

    def keep(self, channel: str, author: str, content: str, **more: Any) -> Json:
        """Put a message there, as its author wrote it."""
        message_id = more.pop("id", None) or self.snowflake()
        replied = more.get("referenced_message") or {}
        pinged = replied if more.pop("pings", True) else {}
        message: Json = {
            "id": message_id,
            "channel_id": channel,
            "author": self.user(author),
            "content": content,
            "timestamp": created_at(message_id).isoformat(),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": self.mentions(content, pinged),
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "type": 19 if replied else 0,
            "flags": 0,
            **more,
        }
        self.messages[message_id] = message
        self.shown.append((self.clock.monotonic(), message_id, content))
        return message

    def mentions(self, content: str, replied: Json) -> list[Json]:
        """Who is mentioned, though not in code, and who is replied to."""
        text = _CODE.sub("", content)
        there = [self.user(user) for user in self.names if re.search(f"<@!?{user}>", text)]
        answered = [replied["author"]] if replied else []
        return there + [author for author in answered if author not in there]

    def write(self, channel: str, body: Json, **more: Any) -> Json:
        """The bot posts."""
        self.check_text(body)
        nonce = body.get("nonce")
        if nonce and body.get("enforce_nonce") and nonce in self.nonces:
            return self.messages[self.nonces[nonce]]
        if reference := body.get("message_reference"):
            if ("read", channel) in self.forbidden:
                raise Refused(403, 160002, "Cannot reply without permission to read history")
            answered = self.messages.get(reference["message_id"])
            more["message_reference"] = {
                "type": 0,
                "channel_id": channel,
                "message_id": reference["message_id"],
            }
            more["referenced_message"] = answered
        message = self.keep(channel, BOT, body.get("content", ""), pings=False, **more)
        message["components"] = numbered(body.get("components", []))
        if nonce:
            message["nonce"] = nonce
            self.nonces[nonce] = message["id"]
        return message

    def change(self, message_id: str, body: Json) -> Json:
        """The bot edits."""
        message = self.own(message_id)
        channel = self.channels[message["channel_id"]]
        if channel.get("thread_metadata", {}).get("archived"):
            raise Refused(400, 50083, "Thread is archived")
        if self.age(message_id) > timedelta(hours=1):
            self.violations.append("an edit of a message older than an hour")
        self.check_text(body)
        if "content" in body:
            message["content"] = body["content"]
            self.shown.append((self.clock.monotonic(), message_id, body["content"]))
        if "components" in body:
            message["components"] = numbered(body["components"])
        message["edited_timestamp"] = self.clock.now().isoformat()
        return message

    def age(self, snowflake: str) -> timedelta:
        return self.clock.now() - created_at(snowflake)

    def own(self, message_id: str) -> Json:
        message = self.messages.get(message_id)
        if message is None:
            raise UNKNOWN_MESSAGE
        if message["author"]["id"] != BOT:
            raise Refused(403, 50005, "Cannot edit a message authored by another user")
        return message

    def check_channel(self, channel: str, what: str = "write") -> Json:
        if channel not in self.channels:
            raise UNKNOWN_CHANNEL
        parent = self.channels[channel].get("parent_id") or channel
        if ("see", parent) in self.forbidden:
            raise MISSING_ACCESS
        if (what, parent) in self.forbidden or (what, channel) in self.forbidden:
            raise MISSING_PERMISSIONS
        if what == "write" and parent != channel and ("write in threads", parent) in self.forbidden:
            raise MISSING_PERMISSIONS
        return self.channels[channel]

    def check_text(self, body: Json) -> None:
        if len(body.get("content") or "") > MAX_TEXT:
            raise TOO_LONG
        for word, code in self.filter.items():
            if word in (body.get("content") or ""):
                raise Refused(400, code, "Message was blocked")
        allowed = body.get("allowed_mentions")
        if "content" in body and (allowed is None or allowed.get("parse") != []):
            self.violations.append("a text that may ping")
        if "content" in body and not body.get("flags", 0) & 4:
            self.violations.append("a text that may unfurl")

    def open_thread(self, channel: str, message_id: str, name: str) -> Json:
        self.check_channel(channel, "thread")
        if message_id in self.channels:
            raise Refused(400, 160004, "A thread has already been created for this message")
        if message_id not in self.messages:
            raise UNKNOWN_MESSAGE
        thread: Json = {
            "id": message_id,
            "type": 11,
            "guild_id": GUILD,
            "parent_id": channel,
            "owner_id": BOT,
            "name": name,
            "last_message_id": None,
            "message_count": 0,
            "member_count": 1,
            "total_message_sent": 0,
            "rate_limit_per_user": 0,
            "flags": 0,
            "thread_metadata": {
                "archived": False,
                "auto_archive_duration": 1440,
                "archive_timestamp": self.clock.now().isoformat(),
                "locked": False,
                "create_timestamp": self.clock.now().isoformat(),
            },
        }
        self.channels[message_id] = thread
        return thread

    def interaction(self, token: str) -> Asked:
        """By its token, while that is valid."""
        for asked in self.interactions.values():
            if asked.token == token:
                if self.clock.monotonic() - asked.made_at > self.token_seconds:
                    raise Refused(401, 50027, "Invalid Webhook Token")
                return asked
        raise Refused(404, 10015, "Unknown Webhook")
