"""Channels and threads: from discord.py's cache, and from Discord for what that lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import discord

from adapters.discord.api.client import ParleyClient
from adapters.discord.api.ids import DIRECT, NAME
from adapters.discord.api.messages import BotUser
from adapters.discord.api.recent import Recent
from adapters.discord.api.rest import Rest
from bot.adapter_support.payloads import Payload, items_of, text_of
from bot.errors import PlatformError
from bot.types import Place

_MAX_INFOS = 5_000
_THREAD_TYPES = frozenset({10, 11, 12})
_DIRECT_TYPES = frozenset({1, 3})
_CAN_THREAD = (discord.ChannelType.text, discord.ChannelType.news)


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel, a thread or a direct channel.

    ``parent``: the channel of a thread. ``owner``: the user who opened the thread.
    ``can_thread``: threads can be opened here.
    """

    guild: str
    channel: str
    parent: str = ""
    is_age_restricted: bool = False
    can_thread: bool = False
    owner: str = ""

    @property
    def is_direct(self) -> bool:
        return not self.guild

    @property
    def is_thread(self) -> bool:
        return bool(self.parent)

    def place(self, root: str = "") -> Place:
        """``root``: the first message of a reply chain, which is a thread outside Discord's own."""
        if self.is_direct:
            return Place(NAME, DIRECT, self.channel, "")
        thread = self.channel if self.is_thread else root
        return Place(NAME, self.guild, self.parent or self.channel, thread)


def channel_info(channel: Payload, guild: str) -> ChannelInfo:
    """From a channel object of Discord's API."""
    kind = channel.get("type")
    if kind in _DIRECT_TYPES:
        return ChannelInfo("", text_of(channel, "id"))
    parent = text_of(channel, "parent_id") if kind in _THREAD_TYPES else ""
    return ChannelInfo(
        guild=text_of(channel, "guild_id") or guild,
        channel=text_of(channel, "id"),
        parent=parent,
        is_age_restricted=bool(channel.get("nsfw")),
        can_thread=kind in (0, 5),
        owner=text_of(channel, "owner_id") if parent else "",
    )


class Channels:
    def __init__(self, client: ParleyClient, rest: Rest) -> None:
        self._client = client
        self._rest = rest
        self._infos: Recent[str, ChannelInfo] = Recent(_MAX_INFOS)

    async def find(self, channel: str, guild: str) -> ChannelInfo:
        """A channel that cannot be looked up is taken for one without threads."""
        if not guild:
            return ChannelInfo("", channel)
        if info := self.known(channel):
            return info
        return await self._ask(channel, guild)

    def known(self, channel: str) -> ChannelInfo | None:
        if info := self._infos.get(channel):
            return info
        found = self._client.get_channel(int(channel)) if channel.isdigit() else None
        if isinstance(found, discord.Thread):
            parent = found.parent
            nsfw = bool(parent and parent.is_nsfw())
            guild, owner = str(found.guild.id), str(found.owner_id)
            return ChannelInfo(guild, channel, str(found.parent_id), nsfw, owner=owner)
        if isinstance(found, discord.abc.GuildChannel):
            nsfw = bool(getattr(found, "nsfw", False))
            can_thread = found.type in _CAN_THREAD
            return ChannelInfo(str(found.guild.id), channel, "", nsfw, can_thread)
        return None

    def is_thread(self, channel: str) -> bool:
        info = self.known(channel)
        return info is not None and info.is_thread

    def add_thread(self, thread: str, parent: str, guild: str) -> None:
        """Note a thread that Parley opened."""
        above, me = self.known(parent), self._client.user
        is_restricted = bool(above and above.is_age_restricted)
        owner = str(me.id) if me else ""
        self._infos[thread] = ChannelInfo(guild, thread, parent, is_restricted, owner=owner)

    def seen_from(self, guild_id: str, me: BotUser) -> BotUser:
        """The bot as a server knows it: its managed role, and names that all members see."""
        guild = self._client.get_guild(int(guild_id)) if guild_id.isdigit() else None
        if guild is None:
            return me
        role = guild.self_role
        roles = frozenset({str(role.id)}) if role else me.roles
        return replace(me, roles=roles, names=partial(_name_in, guild))

    def may_manage_messages(self, info: ChannelInfo, member: Payload, user_id: str) -> bool:
        roles = [str(role) for role in items_of(member, "roles")]
        return self._permissions(info, roles, user_id).manage_messages

    def may_read_history(self, info: ChannelInfo, roles: Sequence[str], user_id: str) -> bool:
        """Without it a member sees only what comes while they look."""
        return info.is_direct or self._permissions(info, roles, user_id).read_message_history

    def _permissions(
        self, info: ChannelInfo, roles: Sequence[str], user_id: str
    ) -> discord.Permissions:
        """By Discord's own rules: the member's roles and the channel's permission overwrites."""
        guild = self._client.get_guild(int(info.guild)) if info.guild.isdigit() else None
        channel = guild.get_channel(int(info.parent or info.channel)) if guild else None
        if guild is None or channel is None or not user_id.isdigit():
            return discord.Permissions.none()
        payload = {
            "roles": [int(role) for role in roles if role.isdigit()],
            "user": {"id": user_id, "username": "", "discriminator": "0", "avatar": None},
            "flags": 0,
        }
        someone = discord.Member(data=payload, guild=guild, state=self._client._connection)  # type: ignore[arg-type]
        return channel.permissions_for(someone)

    async def _ask(self, channel: str, guild: str) -> ChannelInfo:
        try:
            answer = await self._rest.call("GET", "/channels/{channel_id}", channel_id=channel)
        except PlatformError:
            return ChannelInfo(guild, channel)
        info = (
            channel_info(answer, guild) if isinstance(answer, dict) else ChannelInfo(guild, channel)
        )
        self._infos[channel] = info
        return info


def _name_in(guild: discord.Guild, kind: str, some_id: str) -> str:
    """A role's (``@&``) or a channel's (``#``); the names of private channels are not told."""
    if kind == "@&":
        role = guild.get_role(int(some_id))
        return role.name if role else ""
    channel = guild.get_channel(int(some_id))
    is_open = channel and channel.permissions_for(guild.default_role).view_channel
    return channel.name if channel and is_open else ""
