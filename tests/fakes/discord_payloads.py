"""People, servers, channels and members as Discord describes them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from bot.ports import Clock

APP, BOT = "900000000000000009", "900000000000000001"
ADA, BOB, BOSS = "600000000000000001", "600000000000000002", "600000000000000003"
GUILD, CHANNEL, OTHER_CHANNEL = "800000000000000001", "700000000000000001", "700000000000000003"
ADULT = "700000000000000018"
DIRECT = "700000000000000002"
BOSS_ROLE = "500000000000000001"
EPOCH_MS = 1_420_070_400_000
_MANAGE_MESSAGES = 1 << 13
_USUAL = 0x0000_0410_0001_CC40

Json = dict[str, Any]


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


class FakePayloads:
    def __init__(self, clock: Clock, *, message_content: bool = True) -> None:
        self.clock = clock
        self.message_content = message_content
        self.names = {ADA: "Ada", BOB: "Bob", BOSS: "Boss", BOT: "Parley"}
        self.roles_of: dict[str, list[str]] = {BOSS: [BOSS_ROLE]}
        self.channels: dict[str, Json] = {
            CHANNEL: self.text_channel(CHANNEL, "general"),
            OTHER_CHANNEL: self.text_channel(OTHER_CHANNEL, "random"),
            ADULT: {**self.text_channel(ADULT, "adults"), "nsfw": True},
            DIRECT: {"id": DIRECT, "type": 1, "flags": 0, "recipients": [self.user(ADA)]},
        }
        self._serial = itertools.count(1)

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
        """The payload of GUILD_CREATE."""
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
        """Without the privileged intent the text is empty, except in messages to the bot."""
        is_for_us = BOT in [user["id"] for user in message["mentions"]]
        is_open = message["channel_id"] == DIRECT or message["author"]["id"] == BOT
        if self.message_content or is_for_us or is_open:
            return message
        return {**message, "content": "", "attachments": [], "embeds": []}

    def metadata(self, asked: Asked) -> Json:
        """The metadata of an interaction in the message that answers it."""
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

    def text_channel(self, channel: str, name: str) -> Json:
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
