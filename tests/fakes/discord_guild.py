"""A server as Discord keeps it: state, rules and payloads, no wire (see ``tests.fakes.discord``).

It refuses what Discord refuses (foreign messages, sizes, strangers, dead tokens) and notes in
``violations`` what Discord would let pass but Parley must never do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from adapters.discord.ids import created_at
from bot.ports import Clock

APP, BOT = "900000000000000009", "900000000000000001"
ADA, BOB, BOSS = "600000000000000001", "600000000000000002", "600000000000000003"
GUILD, CHANNEL, OTHER_CHANNEL = "800000000000000001", "700000000000000001", "700000000000000003"
ADULT = "700000000000000018"
DIRECT = "700000000000000002"
BOSS_ROLE = "500000000000000001"
MAX_TEXT = 2000
EPOCH_MS = 1_420_070_400_000
_MANAGE_MESSAGES = 1 << 13
_EVERYTHING = (1 << 53) - 1
_USUAL = 0x0000_0410_0000_CC40

Json = dict[str, Any]


class Refused(Exception):
    """Discord's status, code and word for why not."""

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


def numbered(components: list[Json]) -> list[Json]:
    """Components as Discord gives them back: each with an id, and what was left to it."""
    ids = itertools.count(1)

    def kept(part: Json) -> Json:
        more: Json = {"id": next(ids)}
        if part["type"] == 3:
            more |= {"min_values": 1, "max_values": 1}
        if "components" in part:
            more["components"] = list(map(kept, part["components"]))
        return {**part, **more}

    return list(map(kept, components))


@dataclass(slots=True)
class Asked:
    """An interaction: ``callback`` is the type it was acknowledged with; ``message`` the one
    whose button was pressed; ``original`` the answer.
    """

    id: str
    token: str
    channel: str
    user: str
    made_at: float
    kind: int = 2
    callback: int | None = None
    data: Json = field(default_factory=dict)
    original: str = ""
    message: str = ""
    acked_after: float | None = None


class FakeServer:
    """``forbidden``: (what, channel) that the bot may not do: ``write``, ``thread``, ``see``."""

    def __init__(self, clock: Clock, *, message_content: bool = True) -> None:
        self.clock = clock
        self.message_content = message_content
        self.violations: list[str] = []
        self.forbidden: set[tuple[str, str]] = set()
        self.names = {ADA: "Ada", BOB: "Bob", BOSS: "Boss", BOT: "Parley"}
        self.roles_of: dict[str, list[str]] = {BOSS: [BOSS_ROLE]}
        self.channels: dict[str, Json] = {
            CHANNEL: self._text_channel(CHANNEL, "general"),
            OTHER_CHANNEL: self._text_channel(OTHER_CHANNEL, "random"),
            ADULT: {**self._text_channel(ADULT, "adults"), "nsfw": True},
            DIRECT: {"id": DIRECT, "type": 1, "flags": 0, "recipients": [self.user(ADA)]},
        }
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
        self._serial = itertools.count(1)

    # What a person sees

    def text(self, message_id: str) -> str | None:
        message = self.messages.get(message_id)
        return None if message is None else str(message["content"])

    def texts(self, channel: str, author: str = BOT) -> list[str]:
        """What the bot says in a channel, oldest first; answers for one person left out."""
        here = sorted(self.messages.values(), key=lambda m: int(m["id"]))
        return [
            m["content"]
            for m in here
            if m["channel_id"] == channel
            and m["author"]["id"] == author
            and m["id"] not in self.hidden
        ]

    def whispers(self, user: str = ADA) -> list[str]:
        """What only this person sees."""
        return [self.messages[m]["content"] for m, reader in self.hidden.items() if reader == user]

    def buttons(self, message_id: str) -> dict[str, str]:
        """Label -> id of the buttons under a message."""
        rows = self.messages[message_id].get("components", [])
        parts = [part for row in rows for part in row["components"]]
        return {part["label"]: part["custom_id"] for part in parts if part["type"] == 2}

    # Payloads

    def snowflake(self) -> str:
        ms = int(self.clock.now().timestamp() * 1000) - EPOCH_MS
        return str((ms << 22) + next(self._serial) % (1 << 22))

    def user(self, user_id: str) -> Json:
        name = self.names[user_id]
        return {
            "id": user_id,
            "username": name.lower(),
            "global_name": name,
            "discriminator": "0",
            "avatar": None,
            "bot": user_id == BOT,
            "public_flags": 0,
            "flags": 0,
            "primary_guild": None,
        }

    def member(self, user_id: str, *, full: bool = True) -> Json:
        member: Json = {
            "roles": self.roles_of.get(user_id, []),
            "nick": None,
            "avatar": None,
            "joined_at": "2024-01-01T00:00:00+00:00",
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "flags": 0,
        }
        return {**member, "user": self.user(user_id)} if full else member

    def permissions(self, user_id: str) -> str:
        return str(_USUAL | (_MANAGE_MESSAGES if user_id == BOSS else 0))

    def guild(self, guild_id: str = GUILD) -> Json:
        """What GUILD_CREATE says."""
        here = [c for c in self.channels.values() if c.get("guild_id") == guild_id]
        everyone = self._role(guild_id, "@everyone", _USUAL)
        boss = self._role(BOSS_ROLE, "boss", _USUAL | _MANAGE_MESSAGES)
        return {
            "id": guild_id,
            "name": "Testers",
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "owner_id": "600000000000000099",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "roles": [everyone, boss],
            "emojis": [],
            "stickers": [],
            "features": [],
            "mfa_level": 0,
            "application_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "vanity_url_code": None,
            "description": None,
            "banner": None,
            "premium_tier": 0,
            "preferred_locale": "en-US",
            "public_updates_channel_id": None,
            "nsfw_level": 0,
            "premium_progress_bar_enabled": False,
            "joined_at": "2024-01-01T00:00:00+00:00",
            "large": False,
            "unavailable": False,
            "member_count": 4,
            "voice_states": [],
            "members": [self.member(BOT)],
            "channels": [c for c in here if c["type"] != 11],
            "threads": [c for c in here if c["type"] == 11],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    def seen_by_bot(self, message: Json) -> Json:
        """Without the privileged intent the text of what is not said to the bot is empty."""
        is_for_us = BOT in [user["id"] for user in message["mentions"]]
        is_open = message["channel_id"] == DIRECT or message["author"]["id"] == BOT
        if self.message_content or is_for_us or is_open:
            return message
        return {**message, "content": "", "attachments": [], "embeds": []}

    # Rules

    def keep(self, channel: str, author: str, content: str, **more: Any) -> Json:
        """Put a message there, as its author wrote it."""
        message_id = more.pop("id", None) or self.snowflake()
        users = [user for user in self.names if f"<@{user}>" in content]
        replied = more.get("referenced_message") or {}
        if replied and more.get("pings", True):
            users += [replied["author"]["id"]]
        more.pop("pings", None)
        message: Json = {
            "id": message_id,
            "channel_id": channel,
            "author": self.user(author),
            "content": content,
            "timestamp": created_at(message_id).isoformat(),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [self.user(user) for user in dict.fromkeys(users)],
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

    def write(self, channel: str, body: Json, **more: Any) -> Json:
        """The bot posts."""
        self.check_text(body)
        nonce = body.get("nonce")
        if nonce and body.get("enforce_nonce") and nonce in self.nonces:
            return self.messages[self.nonces[nonce]]
        if reference := body.get("message_reference"):
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
        return self.channels[channel]

    def check_text(self, body: Json) -> None:
        if len(body.get("content") or "") > MAX_TEXT:
            raise TOO_LONG
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
        """By its token, while that is good."""
        for asked in self.interactions.values():
            if asked.token == token:
                if self.clock.monotonic() - asked.made_at > self.token_seconds:
                    raise Refused(401, 50027, "Invalid Webhook Token")
                return asked
        raise Refused(404, 10015, "Unknown Webhook")

    def metadata(self, asked: Asked) -> Json:
        """What a message that answers an interaction says of it."""
        told = {
            "id": asked.id,
            "type": asked.kind,
            "user": self.user(asked.user),
            "authorizing_integration_owners": {},
        }
        if asked.kind == 5:
            opened_by = {**told, "id": self.snowflake(), "type": 2}
            return {**told, "triggering_interaction_metadata": opened_by}
        return {**told, "interacted_message_id": asked.message} if asked.kind == 3 else told

    def _text_channel(self, channel: str, name: str) -> Json:
        return {
            "id": channel,
            "type": 0,
            "guild_id": GUILD,
            "name": name,
            "position": 0,
            "permission_overwrites": [],
            "nsfw": False,
            "topic": None,
            "last_message_id": None,
            "rate_limit_per_user": 0,
            "parent_id": None,
            "flags": 0,
        }

    def _role(self, role_id: str, name: str, permissions: int) -> Json:
        return {
            "id": role_id,
            "name": name,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "icon": None,
            "unicode_emoji": None,
            "position": 0 if name == "@everyone" else 1,
            "permissions": str(permissions),
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }
