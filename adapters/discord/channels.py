"""Where a channel is: discord.py's picture first, Discord itself for what it does not show."""

from __future__ import annotations

from collections import OrderedDict

import discord

from adapters.discord.client import ParleyClient
from adapters.discord.events import Spot, spot_of_channel
from adapters.discord.rest import Rest
from adapters.discord.text import Payload
from bot.errors import PlatformError

_MAX_SPOTS = 5_000
_CAN_THREAD = (discord.ChannelType.text, discord.ChannelType.news)


class Channels:
    def __init__(self, client: ParleyClient, rest: Rest) -> None:
        self._client = client
        self._rest = rest
        self._spots: OrderedDict[str, Spot] = OrderedDict()

    async def find(self, channel: str, guild: str) -> Spot:
        """What is not to be found is taken for a channel without threads."""
        if not guild:
            return Spot("", channel)
        if spot := self.known(channel):
            return spot
        return await self._ask(channel, guild)

    def known(self, channel: str) -> Spot | None:
        if spot := self._spots.get(channel):
            return spot
        found = self._client.get_channel(int(channel)) if channel.isdigit() else None
        if isinstance(found, discord.Thread):
            parent = found.parent
            nsfw = bool(parent and parent.is_nsfw())
            guild, owner = str(found.guild.id), str(found.owner_id)
            return Spot(guild, channel, str(found.parent_id), nsfw, owner=owner)
        if isinstance(found, discord.abc.GuildChannel):
            nsfw = bool(getattr(found, "nsfw", False))
            can_thread = found.type in _CAN_THREAD
            return Spot(str(found.guild.id), channel, "", nsfw, can_thread)
        return None

    def is_thread(self, channel: str) -> bool:
        spot = self.known(channel)
        return spot is not None and spot.is_thread

    def add_thread(self, thread: str, parent: str, guild: str) -> None:
        """A thread was opened, by us."""
        above, me = self.known(parent), self._client.user
        is_restricted = bool(above and above.is_age_restricted)
        self._keep(Spot(guild, thread, parent, is_restricted, owner=str(me.id) if me else ""))

    def own_roles(self, guild: str) -> frozenset[str]:
        """The roles that people may mention instead of the bot itself."""
        found = self._client.get_guild(int(guild)) if guild.isdigit() else None
        role = found.self_role if found else None
        return frozenset({str(role.id)}) if role else frozenset()

    def may_manage_messages(self, spot: Spot, member: Payload, user_id: str) -> bool:
        """As Discord would reckon, from roles and the channel's exceptions."""
        guild = self._client.get_guild(int(spot.guild)) if spot.guild.isdigit() else None
        channel = guild.get_channel(int(spot.parent or spot.channel)) if guild else None
        if guild is None or channel is None or not user_id.isdigit():
            return False
        roles = [int(role) for role in member.get("roles") or () if str(role).isdigit()]
        payload = {
            "roles": roles,
            "user": {"id": user_id, "username": "", "discriminator": "0", "avatar": None},
            "flags": 0,
        }
        someone = discord.Member(data=payload, guild=guild, state=self._client._connection)  # type: ignore[arg-type]
        return bool(channel.permissions_for(someone).manage_messages)

    async def _ask(self, channel: str, guild: str) -> Spot:
        try:
            answer = await self._rest.call("GET", "/channels/{channel_id}", channel_id=channel)
        except PlatformError:
            return Spot(guild, channel)
        spot = spot_of_channel(answer, guild) if isinstance(answer, dict) else Spot(guild, channel)
        self._keep(spot)
        return spot

    def _keep(self, spot: Spot) -> None:
        self._spots[spot.channel] = spot
        if len(self._spots) > _MAX_SPOTS:
            self._spots.popitem(last=False)
